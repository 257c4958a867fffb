// The whole: state, controls, maps, and what the parts ask of each other.

const LINES = [
  ["picked", "picked", "◯"],
  ["positive", "from a query to a document judged positive for it", "━━"],
  ["negative", "from a query to a top document that is not: a negative", "╍╍"],
  ["chosen", "rim of what is selected", "◎"],
];
const MOST_ZOOM = 12; // times the whole map, where all that is shown is one point

class Explorer {
  constructor(root, packed, hooks = {}) {
    this.data = unpacked(packed);
    this.outside = hooks;
    this.state = { picked: -1, hovered: -1, lassoing: false, hidden: -1, method: 0, scale: 0, past: [] };
    this.chosen = new Uint8Array(this.data.points);
    this.view = { x: 0, y: 0, scale: 1, fit: 1 };
    this.shown = { picked: -1, positives: [], negatives: [], results: [] };
    this.methods = Object.keys(this.data.captions.maps);
    this.build(root);
    this.setMethod();
    this.setScale();
    new ResizeObserver(() => this.resized()).observe(this.mapsBox);
    this.resized();
  }

  // Building -------------------------------------------------------------------------------

  build(root) {
    const { data } = this;
    this.maps = data.spaces.map((space, number) => new PointMap(space.label, data.sides, this.hooksOf(number)));
    this.panel = new Panel(data, {
      pick: (item, deeper) => this.pick(item, deeper),
      buttons: (item) => this.pickedButtons(item),
    });
    this.finder = new Finder(data, {
      pick: (item) => this.pick(item),
      listed: (items) => this.listed(items),
      choose: (items) => this.choose(items, true),
    });
    this.status = element("p", { class: "anx-status", role: "status" });
    this.selection = element("section", { class: "anx-selection", "aria-label": "Selection", hidden: true });
    this.legend = element("ul", { class: "anx-legend", "aria-label": "Legend" });
    this.lineLegend = element("ul", { class: "anx-legend", "aria-label": "Legend of lines and rims" });
    this.scaleSays = element("p", { class: "anx-hint" });
    this.mapsBox = element("div", { class: `anx-maps anx-n${this.maps.length}` }, this.maps.map((map, number) => this.figure(map, number)));
    this.root = element("div", { class: "anx" },
      this.head(), this.status,
      element("div", { class: "anx-body" },
        element("div", { class: "anx-middle" },
          this.bar(), this.mapsBox, this.scaleSays, this.legend, this.lineLegend,
          element("p", { class: "anx-cannot" }, data.captions.cannot), this.selection),
        this.finder.root, this.panel.root),
      this.notes());
    (this.outside.keys || this.root).addEventListener("keydown", (event) => this.escape(event));
    if (this.outside.inNotebook) this.root.addEventListener("keydown", keepFromNotebook);
    root.replaceChildren(this.root);
    root.explorer = this;
  }

  head() {
    const { title, captions } = this.data;
    return element("header", {},
      element(this.outside.heading || "h1", { class: "anx-title" }, title),
      element("p", { class: "anx-hint" }, captions.collection ? `${captions.collection}. ` : "", captions.shown),
      captions.doubts.length ? element("div", { class: "anx-doubts" }, element("strong", {}, "In doubt: "), captions.doubts.join("; ")) : null);
  }

  bar() {
    const { data } = this;
    const select = (name, options, change) => element("label", {}, name,
      element("select", { onchange: (event) => change(event.target.selectedIndex) }, options.map((text) => element("option", {}, text))));
    const button = (text, label, act) => element("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
    this.lasso = element("button", { type: "button", "aria-pressed": "false", onclick: () => this.setLasso(!this.state.lassoing) }, "lasso");
    return element("div", { class: "anx-bar" },
      select("Map", this.methods.map((method) => data.captions.maps[method].name), (at) => { this.state.method = at; this.setMethod(); }),
      select("Color", data.scales.map((scale) => scale.title), (at) => { this.state.scale = at; this.setScale(); }),
      select("Show", ["both sides", "queries", "documents"], (at) => { this.state.hidden = [-1, DOT, TRIANGLE][at]; this.redraw(); }),
      element("div", { class: "anx-buttons" }, this.lasso,
        button("+", "zoom in", () => this.zoom(1.4)), button("−", "zoom out", () => this.zoom(1 / 1.4)),
        button("whole map", "whole map", () => this.fit()),
        button("clear", "clear what is picked, listed and selected (Escape)", () => this.clear())));
  }

  figure(map, number) {
    const space = this.data.spaces[number];
    map.trust = element("p", { class: "anx-hint" });
    return element("figure", { class: `anx-map anx-space${number}` },
      element("figcaption", {}, element("strong", {}, space.label), element("small", {}, ` ${space.about}`)),
      map.frame, map.trust);
  }

  notes() {
    const { captions } = this.data, left = captions.left_out;
    return element("footer", { class: "anx-notes" },
      element("h3", {}, "How to read this"),
      [captions.aligned, captions.trust, captions.sample].filter(Boolean).map((line) => element("p", {}, line)),
      captions.numbers.map((line) => element("p", {}, line)),
      left.length ? element("p", {}, `Left out: ${left.join("; ")}.`) : null,
      element("p", {}, "Keys: in the results, arrows step from one to the next; on a map, arrows move it, + and − zoom, 0 shows all, Enter picks what is nearest to the cross in the middle; Escape clears. The lasso adds to the selection while Shift is held. ",
        this.outside.inNotebook ? "The wheel zooms a map that was clicked, or with Ctrl held." : "The wheel zooms."));
  }

  // What one map may ask for; everything but its number is shared.
  hooksOf(number) {
    const all = this;
    return {
      number,
      get view() { return all.view; },
      get chosen() { return all.chosen; },
      get shown() { return all.shown; },
      get hovered() { return all.state.hovered; },
      get hidden() { return all.state.hidden; },
      get lassoing() { return all.state.lassoing; },
      hover: (item) => this.hover(item, number),
      pick: (item) => (item < 0 ? this.unpick() : this.pick(item)),
      move: (dx, dy) => this.move(dx, dy),
      zoom: (by, at) => this.zoom(by, at),
      // In a notebook, whose pages are long, a map that was not clicked lets them scroll by.
      takesWheel: (event, canvas) => !this.outside.inNotebook || event.ctrlKey || event.metaKey || canvas.matches(":focus"),
      reset: () => this.fit(),
      lassoed: (items, more) => this.choose(items, more),
      redraw: () => this.redraw(false),
    };
  }

  // View -----------------------------------------------------------------------------------

  setMethod() {
    const method = this.methods[this.state.method], { data } = this;
    data.spaces.forEach((space, number) => {
      const map = this.maps[number], about = data.captions.maps[method];
      map.setPoints(space.maps[method].x, space.maps[method].y);
      map.trust.textContent = `${about.setting}. How faithful: ${about.trust[number]}`;
      map.describe(`Map of ${space.label}, ${about.name}, ${whole(data.points)} points. Arrow keys move it, plus and minus zoom, zero shows all, Enter picks what is nearest to the middle.`);
    });
    this.fit();
  }

  setScale() {
    const scale = this.data.scales[this.state.scale];
    this.maps.forEach((map, number) => map.setColors(scale.codes[number] ?? scale.codes[0], scale.classes));
    const own = scale.key === "side";
    this.scaleSays.textContent = `Color: ${scale.says}.${own ? "" : " Triangles are queries, dots documents."}`;
    this.legend.replaceChildren(...scale.classes.map(([label, color], code) => {
      const shape = own ? (code ? "●" : "▲") : "■";
      const mark = element("span", { "aria-hidden": "true" }, shape);
      mark.style.color = color;
      return element("li", {}, mark, ` ${label}`);
    }));
    this.lineLegend.replaceChildren(...LINES.map(([key, label, text]) => {
      const mark = element("span", { "aria-hidden": "true" }, text);
      mark.style.color = COLORS[key];
      return element("li", {}, mark, ` ${label}`);
    }));
    this.redraw();
  }

  // The box around some points, on both maps.
  bounds(items) {
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { x, y } of this.maps) {
      for (const i of items) {
        if (x[i] < left) left = x[i];
        if (x[i] > right) right = x[i];
        if (y[i] < low) low = y[i];
        if (y[i] > high) high = y[i];
      }
    }
    return [left, right, low, high];
  }

  fit() {
    this.view.fit = this.showAll(Array.from(this.maps[0].x.keys()), 0.94);
  }

  // Center the maps on some points, at most so near that a single one has surroundings.
  showAll(items, part, most = Infinity) {
    const [left, right, low, high] = this.bounds(items), { width, height } = this.maps[0].size;
    const across = (width || 400) / (right - left || 1e-9), up = (height || 400) / (high - low || 1e-9);
    const scale = Math.min(part * Math.min(across, up), most);
    Object.assign(this.view, { x: (left + right) / 2, y: (low + high) / 2, scale });
    this.redraw();
    return scale;
  }

  // What is picked and the ends of its lines, as far as they are on the maps.
  get pickedPoints() {
    const { picked, positives, negatives } = this.shown;
    return [picked, ...positives, ...negatives.flat()].filter((i) => i >= 0 && i < this.data.points);
  }

  showPicked() {
    const items = this.pickedPoints;
    this.showAll(items, 0.85, MOST_ZOOM * this.view.fit);
    this.status.textContent = `${counted(items.length, "point")} shown`;
  }

  resized() {
    const before = this.maps[0].size.width, { scale, fit } = this.view;
    const changed = this.maps.map((map) => map.resize()).some(Boolean);
    if (!changed) return;
    const [x, y] = [this.view.x, this.view.y];
    this.fit();
    if (before) Object.assign(this.view, { x, y, scale: (this.view.fit * scale) / fit });
    this.draw(true);
  }

  move(dx, dy) {
    this.view.x += dx / this.view.scale;
    this.view.y -= dy / this.view.scale;
    this.redraw();
  }

  zoom(by, at = [this.view.x, this.view.y]) {
    const { view } = this, scale = clamp(view.scale * by, view.fit * 0.5, view.fit * 200);
    const keep = view.scale / scale;
    view.x = at[0] + (view.x - at[0]) * keep;
    view.y = at[1] + (view.y - at[1]) * keep;
    view.scale = scale;
    this.redraw();
  }

  redraw(points = true) {
    this.stale = this.stale || points;
    this.asked ||= requestAnimationFrame(() => {
      this.asked = 0;
      this.draw(this.stale);
    });
  }

  draw(points) {
    this.stale = false;
    for (const map of this.maps) {
      if (points) map.draw();
      map.drawAbove();
    }
  }

  // Picking --------------------------------------------------------------------------------

  label(item) {
    const text = this.data.texts[item];
    return `${this.data.sides[item] === DOT ? "document" : "query"} ${this.data.ids[item]}${text ? `: ${text}` : ""}`;
  }

  hover(item, number) {
    if (item === this.state.hovered) return;
    this.state.hovered = item;
    const text = item < 0 ? "" : this.label(item);
    this.maps.forEach((map, n) => map.showTip(n === number ? item : -1, text.length > 160 ? `${text.slice(0, 159)}…` : text));
    this.redraw(false);
  }

  pick(item, deeper = false) {
    const { state } = this;
    if (deeper && state.picked >= 0) state.past.push(state.picked);
    if (!deeper) state.past = [];
    state.picked = item;
    this.hover(-1, 0);
    this.shown = { picked: item, ...this.panel.links(item), results: [] };
    this.panel.show(item);
    if (deeper) this.panel.root.querySelector("h2").focus();
    this.finder.mark(this.finder.items.indexOf(item));
    this.status.textContent = this.label(item);
    this.redraw(false);
  }

  unpick() {
    this.state.picked = -1;
    this.state.past = [];
    this.shown = { picked: -1, positives: [], negatives: [], results: this.finder.items };
    this.panel.empty();
    this.redraw(false);
  }

  back() {
    const item = this.state.past.pop(), { past } = this.state;
    this.pick(item);
    this.state.past = past;
    this.panel.show(item);
    this.panel.root.querySelector("h2").focus();
  }

  pickedButtons(item) {
    const there = this.state.past.at(-1);
    return element("div", { class: "anx-buttons" },
      there !== undefined ? element("button", { type: "button", onclick: () => this.back() }, "← back to ", element("code", {}, this.data.ids[there])) : null,
      item < this.data.points ? element("button", { type: "button", onclick: () => this.choose([item], true) }, "add to the selection") : null,
      this.pickedPoints.length ? element("button", { type: "button", onclick: () => this.showPicked() }, "zoom to its lines") : null);
  }

  listed(items) {
    this.state.picked = -1;
    this.state.past = [];
    this.shown = { picked: -1, positives: [], negatives: [], results: items };
    this.panel.empty();
    this.redraw(false);
  }

  // Selection ------------------------------------------------------------------------------

  setLasso(on) {
    this.state.lassoing = on;
    this.lasso.setAttribute("aria-pressed", String(on));
    this.root.classList.toggle("anx-lassoing", on);
  }

  get selected() {
    const items = [];
    this.chosen.forEach((is, i) => is && items.push(i));
    return items;
  }

  choose(items, more = false, tell = true) {
    if (!more) this.chosen.fill(0);
    for (const i of items) if (i < this.data.points) this.chosen[i] = 1;
    this.showSelection();
    if (tell && this.outside.onSelect) this.outside.onSelect(this.selected);
    this.redraw();
  }

  showSelection() {
    const { selected, data } = this, shown = selected.slice(0, 100);
    const queries = selected.filter((i) => data.sides[i] !== DOT).length;
    this.selection.hidden = !selected.length;
    const words = `${whole(selected.length)} selected: ${counted(queries, "query", "queries")}, ${counted(selected.length - queries, "document")}`;
    this.status.textContent = selected.length ? words : "nothing selected";
    const button = (text, act) => element("button", { type: "button", onclick: act }, text);
    this.selection.replaceChildren(
      element("h2", {}, words),
      element("div", { class: "anx-buttons" },
        button("download .csv", () => save("selected.csv", this.csv(), "text/csv")),
        button("download ids .txt", () => save("selected-ids.txt", selected.map((i) => `${data.ids[i]}\n`).join(""), "text/plain")),
        button("clear the selection", () => this.choose([]))),
      element("ul", { class: "anx-plain anx-chosen" }, shown.map((i) => element("li", {},
        element("span", { class: "anx-shape", role: "img", "aria-label": data.sides[i] === DOT ? "document" : "query" }, data.sides[i] === DOT ? "●" : "▲"), this.panel.button(i)))),
      selected.length > shown.length ? element("p", { class: "anx-hint" }, `and ${whole(selected.length - shown.length)} more`) : "");
  }

  csv() {
    const { data } = this, method = this.methods[this.state.method];
    const ends = data.spaces.length > 1 ? ["_a", "_b"] : [""];
    const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
    const lines = this.selected.map((i) => [
      quoted(data.ids[i]), data.sides[i] === DOT ? "document" : "query", quoted(data.texts[i] ?? ""),
      ...data.spaces.flatMap(({ maps }) => [maps[method].x[i], maps[method].y[i]]),
    ].join(","));
    return [["id", "side", "text", ...ends.flatMap((end) => [`x${end}`, `y${end}`])].join(","), ...lines, ""].join("\r\n");
  }

  clear() {
    this.finder.clear();
    this.choose([]);
    this.status.textContent = "cleared";
  }

  escape(event) {
    if (event.key !== "Escape") return;
    const drawing = this.maps.find((map) => map.polygon);
    if (drawing) {
      drawing.polygon = null;
      drawing.pointers.clear();
      this.redraw(false);
    } else if (this.state.lassoing && !this.selected.length) this.setLasso(false);
    else this.clear();
    event.stopPropagation();
  }
}

// A notebook would take the keys of its commands: d twice deletes the cell, 0 twice restarts.
function keepFromNotebook(event) {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}

function save(name, text, type) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
