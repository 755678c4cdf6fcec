"""The denoiser in a web page: WebAssembly and JavaScript, and what puts a model and the page around it into one file.

    Path("page.html").write_text(page(model_bytes, title="My model"))

`bundle` makes the files; the rest of this folder is what they hold.
"""
