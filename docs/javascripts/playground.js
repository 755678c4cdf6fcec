// The playground: the page of `dino page` (dino/web/page.js) in the site, with all pretrained models.
document.addEventListener("DOMContentLoaded", function () {
  var place = document.querySelector(".playground")
  if (!place) return
  // A script and not a file of numbers, because pages that are opened from a disk may not fetch any.
  var load = function (name) {
    return new Promise(function (resolve, reject) {
      var script = document.createElement("script")
      script.src = place.dataset.models + name + ".js"
      script.onload = function () { resolve(Dino.fromBase64(Dino.pretrained[name])) }
      script.onerror = function () { reject(new Dino.Problem("The model could not be loaded.")) }
      document.head.append(script)
    })
  }
  var models = {}
  place.dataset.names.split(" ").forEach(function (name) { models[name] = function () { return load(name) } })
  var page = Dino.page(place, { models: models, picker: true, heading: false })
  var first = place.dataset.names.split(" ")[0]
  load(first).then(function (weights) { page.open(weights, first, place.dataset.words) }, function (error) { page.fail(error) })
})
