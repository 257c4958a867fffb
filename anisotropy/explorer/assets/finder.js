// Search and lists: a box of results that is stepped through by arrow keys.

const MOST_RESULTS = 200;
let boxes = 0;

class Finder {
  constructor(data, hooks) {
    this.data = data;
    this.hooks = hooks;
    this.items = [];
    this.at = -1;
    const id = `anx-results-${boxes++}`;
    this.search = element("input", {
      type: "search", placeholder: "text or id", autocomplete: "off", spellcheck: "false",
      oninput: () => this.later(), onkeydown: (event) => this.fromSearch(event),
    });
    this.choice = element("select", { onchange: () => this.choose() }, element("option", { value: "" }, "choose a list"), this.groups());
    this.says = element("p", { class: "anx-hint" });
    this.box = element("ul", { id, role: "listbox", tabindex: "0", ...OWN_KEYS, "aria-label": "Results", onkeydown: (event) => this.pressed(event) });
    this.all = element("button", { type: "button", hidden: true, onclick: () => hooks.choose(this.items) }, "select all of these");
    this.root = element("section", { class: "anx-find", "aria-label": "Find" },
      element("label", {}, "Search", this.search), element("label", {}, "Lists", this.choice), this.says, this.all, this.box);
  }

  groups() {
    const groups = new Map();
    this.data.findings.forEach((finding, number) => {
      if (!groups.has(finding.group)) groups.set(finding.group, element("optgroup", { label: finding.group }));
      groups.get(finding.group).append(element("option", { value: String(number) }, finding.title));
    });
    return [...groups.values()];
  }

  choose() {
    if (this.choice.value === "") return this.fill([], [], "");
    this.search.value = "";
    const finding = this.data.findings[Number(this.choice.value)];
    return this.fill(Array.from(finding.items), finding.notes, `${finding.title}: ${finding.says}.`);
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), 120);
  }

  look() {
    clearTimeout(this.timer);
    const wanted = this.search.value.trim().toLowerCase();
    this.choice.value = "";
    if (!wanted) return this.fill([], [], "");
    const { ids, texts } = this.data;
    this.lower ||= ids.map((id, i) => `${id} ${texts[i] ?? ""}`.toLowerCase());
    const found = [];
    this.lower.forEach((text, i) => text.includes(wanted) && found.push(i));
    found.sort((i, j) => (ids[j].toLowerCase() === wanted) - (ids[i].toLowerCase() === wanted) || i - j);
    const more = found.length > MOST_RESULTS ? `, the first ${MOST_RESULTS} shown` : "";
    return this.fill(found.slice(0, MOST_RESULTS), [], `${whole(found.length)} found${more}.`);
  }

  fill(items, notes, says) {
    this.items = items;
    this.at = -1;
    this.says.textContent = says;
    this.all.hidden = !items.length;
    this.box.removeAttribute("aria-activedescendant");
    this.box.replaceChildren(...items.map((item, n) => this.option(item, n, notes[n])));
    this.box.scrollTop = 0;
    this.hooks.listed(items);
  }

  option(item, n, note) {
    const { data } = this, query = data.sides[item] !== DOT;
    return element("li", { role: "option", id: `${this.box.id}-${n}`, "aria-selected": "false", "data-item": item, onclick: () => this.step(n) },
      element("span", { class: "anx-shape", "aria-label": query ? "query" : "document", role: "img" }, query ? "▲" : "●"),
      element("div", {},
        element("div", { class: "anx-clamp" }, element("code", {}, data.ids[item]), ` ${data.texts[item] ?? ""}`),
        note ? element("small", {}, note) : null));
  }

  fromSearch(event) {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    this.look();
    if (!this.items.length) return;
    event.preventDefault();
    this.box.focus();
    this.step(0);
  }

  pressed(event) {
    const last = this.items.length - 1;
    const to = { ArrowDown: this.at + 1, ArrowUp: this.at - 1, Home: 0, End: last, PageDown: this.at + 8, PageUp: this.at - 8 }[event.key];
    if (to === undefined || last < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.step(clamp(to, 0, last));
  }

  step(n) {
    this.mark(n);
    this.hooks.pick(this.items[n]);
  }

  mark(n) {
    const old = this.box.children[this.at], now = this.box.children[n];
    if (old) old.setAttribute("aria-selected", "false");
    this.at = n;
    if (!now) return;
    now.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", now.id);
    const above = now.offsetTop - this.box.scrollTop;
    if (above < 0) this.box.scrollTop = now.offsetTop;
    else if (above + now.offsetHeight > this.box.clientHeight) {
      this.box.scrollTop = now.offsetTop + now.offsetHeight - this.box.clientHeight;
    }
  }

  clear() {
    this.search.value = "";
    this.choice.value = "";
    this.fill([], [], "");
  }
}
