"use strict";
// Without this script the page is whole: pictures for figures, tables as they are. It makes the figures ones that can be
// explored, and tables sortable.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Colors are names with a dollar in front until they are drawn.
function colored(value) {
  if (typeof value === "string") return value.startsWith("$") ? color(value.slice(1)) : value;
  if (Array.isArray(value)) return value.map(colored);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, NAMED.has(name) ? colored(inner) : inner]));
}
const NAMED = new Set(["color", "bgcolor", "line", "marker", "error_x", "error_y", "pattern", "fgcolor", "colorscale"]);

function traces(plot, trials) {
  return plot.data.map((trace) => {
    const made = colored(trace);
    if (trace.trials) made.hovertext = trace.trials.map((number) => trials[number]);
    return made;
  });
}

function layout(plot) {
  const axis = { gridcolor: color("grid"), linecolor: color("line"), tickcolor: color("line") };
  return {
    ...plot.layout,
    xaxis: { ...axis, ...plot.layout.xaxis },
    yaxis: { ...axis, ...plot.layout.yaxis },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: color("text") },
    hoverlabel: { bgcolor: color("raised"), bordercolor: color("line"), font: { color: color("text") }, align: "left" },
    annotations: colored(plot.layout.annotations),
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: color("soft"), activecolor: color("text") },
    margin: { l: 50, r: 20, t: 30, b: 40 },
  };
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

async function draw() {
  const packed = document.getElementById("plotly");
  if (!packed || !("DecompressionStream" in window)) return;
  const library = document.createElement("script");
  library.textContent = await unpacked(packed.textContent);
  document.head.append(library);
  const { plots, trials } = JSON.parse(document.getElementById("figures").textContent);
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const places = [...document.querySelectorAll(".plot")];
  const paint = (place) => Plotly.react(place, traces(plots[place.dataset.key], trials), layout(plots[place.dataset.key]), config);
  for (const place of places) {
    place.hidden = false;
    place.parentElement.classList.add("drawn");
    await paint(place);
    await new Promise((done) => setTimeout(done)); // lets the reader scroll meanwhile
  }
  const said = document.documentElement.dataset;
  dark.addEventListener("change", async () => {
    await Promise.all(places.map(paint));
    said.theme = dark.matches ? "dark" : "light";
  });
  said.drawn = places.length;
}

function sortable(table) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const key = (row) => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
    };
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending" && head.classList.contains("number");
      const falling = down || head.getAttribute("aria-sort") === "ascending";
      const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
      const unknown = (a, b) => Number.isNaN(key(a)) - Number.isNaN(key(b)); // those come last either way
      const rows = [...body.rows].sort((a, b) => unknown(a, b) || order(key(a), key(b)) * (falling ? -1 : 1));
      [...table.tHead.rows[0].cells].forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}

document.querySelectorAll("table.sortable").forEach(sortable);
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
draw();
