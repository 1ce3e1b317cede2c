// Draws interactive figures when they are asked for. Library and figures lie packed in the page: it fetches nothing.
(() => {
  "use strict";

  const CONFIG = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };

  async function unpacked(id) {
    const packed = atob(document.getElementById(id).textContent.trim());
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  let library = null;
  function loaded() {
    library ??= unpacked("library").then((code) => {
      const script = document.createElement("script");
      script.textContent = code;
      document.head.append(script);
    });
    return library;
  }

  async function draw(box) {
    if (box.dataset.drawn) return;
    await loaded();
    const figure = JSON.parse(await unpacked(box.dataset.figure));
    // A finger that wants to scroll the page must not zoom the figure.
    if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false;
    await Plotly.newPlot(box, figure.data, figure.layout, CONFIG);
    box.dataset.drawn = "yes";
  }

  async function toggle(button) {
    const figure = button.closest("figure");
    const exploring = figure.classList.toggle("exploring");
    button.setAttribute("aria-expanded", exploring);
    button.textContent = exploring ? button.dataset.back : button.dataset.explore;
    if (!exploring) return;
    try {
      await draw(figure.querySelector(".live"));
    } catch (error) {
      figure.classList.remove("exploring");
      button.disabled = true;
      button.textContent = "This browser cannot draw the interactive figure";
      console.warn(error);
    }
  }

  for (const button of document.querySelectorAll("button.explore")) {
    button.hidden = false;
    button.addEventListener("click", () => toggle(button));
  }
  for (const box of document.querySelectorAll(".live[data-now]")) {
    draw(box).catch((error) => { box.textContent = `This browser cannot draw the figure: ${error}`; });
  }
})();
