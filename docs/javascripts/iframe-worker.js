// Browsers start no workers for pages opened from a disk, and the search runs in a worker. Here a hidden frame takes its
// place: the frame loads the worker's script, and messages are passed on. Material for MkDocs uses it by this name.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.title = "search"
      document.documentElement.append(frame)
      this.inside = frame.contentWindow
      this.deliver = this.inside.postMessage.bind(this.inside)
      // Messages that the worker posts go to the page.
      this.inside.postMessage = (data) => {
        const event = new MessageEvent("message", { data })
        this.dispatchEvent(event)
        if (this.onmessage) this.onmessage(event)
      }
      this.inside.importScripts = (...urls) =>
        urls.reduce((before, next) => before.then(() => this.load(next)), Promise.resolve())
      this.ready = this.load(url)
    }

    postMessage(data) {
      this.ready.then(() => this.deliver(data, "*"))
    }

    load(url) {
      return new Promise((resolve, reject) => {
        const script = this.inside.document.createElement("script")
        script.src = url
        script.onload = resolve
        script.onerror = () => reject(new Error("can't load " + url))
        this.inside.document.body.append(script)
      })
    }

    terminate() {}
  }
  window.Worker = window.IFrameWorker
}
