// What is known of the picked item: texts, judged positives, top documents, neighbors.

const QUERY_VALUES = [
  ["nDCG@10", "nDCG@10"],
  ["RR@10", "RR@10"],
  ["positive_distance", "mean distance to positives"],
  ["nearest_distance", "distance to the nearest document"],
  ["margin", "margin of the best positive (score)"],
];

class Panel {
  constructor(data, hooks) {
    this.data = data;
    this.hooks = hooks;
    this.rows = new Map(Array.from(data.listed, (item, row) => [item, row]));
    this.root = element("section", { class: "anx-panel", "aria-label": "Picked item" });
    this.empty();
  }

  empty() {
    this.root.replaceChildren(
      element("p", { class: "anx-hint" }, "Pick a point on a map, search, or choose a list to see texts, judged positives and top documents here."),
    );
  }

  show(item) {
    const { data } = this, query = data.sides[item] !== DOT;
    this.root.replaceChildren(element("div", {},
      element(
        "div",
        { class: "anx-picked" },
        element("h2", { tabindex: "-1" }, `${query ? "Query" : "Document"} `, element("code", {}, data.ids[item])),
        this.hooks.buttons(item),
        element("p", { class: "anx-text" }, data.texts[item] ?? "text not known"),
        item >= data.points ? element("p", { class: "anx-hint" }, "Not on the map.") : null,
      ),
      query ? this.query(this.rows.get(item)) : this.document(item),
    ));
  }

  // Positives and negatives of an item, for the lines: documents of a query, queries of a document.
  links(item) {
    const row = this.rows.get(item), { data } = this;
    if (row === undefined) {
      const { positives, lists } = this.queriesOf(item);
      const others = (list) => list.map(([, query]) => query).filter((query) => !positives.includes(query));
      return { positives, negatives: lists.map(others) };
    }
    const positives = this.judged(row).map((pair) => data.judgments.item[pair]);
    const negatives = data.spaces.map((space) =>
      this.list(space, row).map((at) => space.lists.item[at]).filter((i) => !positives.includes(i)));
    return { positives, negatives };
  }

  list(space, row) {
    const k = this.data.neighbors, places = [];
    for (let at = row * k; at < (row + 1) * k; at++) if (space.lists.item[at] >= 0) places.push(at);
    return places;
  }

  judged(row) {
    const pairs = [];
    this.data.judgments.row.forEach((of, pair) => of === row && pairs.push(pair));
    return pairs;
  }

  query(row) {
    const pairs = this.judged(row);
    const positives = new Set(pairs.map((pair) => this.data.judgments.item[pair]));
    return [
      element("div", { class: "anx-beside" },
        element("div", {}, element("h3", {}, "Judged positives"),
          pairs.length ? this.positives(pairs) : element("p", { class: "anx-hint" }, "None is judged.")),
        this.values(row)),
      element("h3", {}, `Top ${this.data.neighbors} documents`),
      this.moved(row),
      element("div", { class: "anx-lists" }, this.data.spaces.map((space, number) => this.top(space, number, row, positives))),
    ];
  }

  values(row) {
    const { spaces } = this.data;
    const known = QUERY_VALUES.filter(([name]) =>
      spaces.some((space) => space.values[name] && Number.isFinite(space.values[name][row])));
    const lines = known.map(([name, words]) =>
      element("tr", {}, element("th", { scope: "row" }, words),
        spaces.map((space) => element("td", {}, fixed(space.values[name][row])))));
    return known.length ? element("div", {}, element("h3", {}, "Values"),
      this.table(["", ...spaces.map((space) => space.label)], lines, "Values of the query")) : null;
  }

  table(head, lines, title) {
    return element("div", { class: "anx-scroll" }, element("table", { "aria-label": title },
      element("thead", {}, element("tr", {}, head.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, lines)));
  }

  positives(pairs) {
    const { spaces, judgments } = this.data;
    const line = ({ label, positives }, pair) => element("small", {}, spaces.length > 1 ? `${label}: ` : "",
      element("b", {}, `rank ${whole(positives.rank[pair])}`),
      ` · distance ${fixed(positives.distance[pair])} · score ${fixed(positives.score[pair])}`);
    return element("ul", { class: "anx-plain anx-positives", "aria-label": "Judged positives" }, pairs.map((pair) =>
      element("li", { class: "anx-good", "data-item": judgments.item[pair] }, element("div", {},
        this.button(judgments.item[pair]),
        element("small", {}, `grade ${judgments.grade[pair]}`),
        spaces.map((space) => line(space, pair))))));
  }

  moved(row) {
    const { changes, spaces } = this.data;
    if (!changes.neighbors_kept) return null;
    const [first, second] = spaces.map((space) => this.list(space, row));
    const left = first.filter((at) => !this.isTop(spaces[0].lists.elsewhere[at])).length;
    const came = second.filter((at) => !this.isTop(spaces[1].lists.elsewhere[at])).length;
    const kept = Math.round(changes.neighbors_kept[row] * 10);
    const way = `From ${spaces[0].label} to ${spaces[1].label}`;
    return [
      element("p", {}, `${way}: ${this.movedPositive(row)}${kept} of the 10 best documents stay; of the top ${this.data.neighbors}, ${left} left and ${came} came.`),
      element("p", { class: "anx-hint" }, `${way} a document goes up (↑) or down (↓) by so many ranks; = is the same rank. Green: judged positive.`),
    ];
  }

  // How the best judged positive moved, where there is one.
  movedPositive(row) {
    const pairs = this.judged(row);
    if (!pairs.length) return "";
    const [before, after] = this.data.spaces.map(({ positives }) => Math.min(...pairs.map((pair) => positives.rank[pair])));
    const which = pairs.length > 1 ? "best judged positive" : "judged positive";
    return `the ${which} ${before === after ? `stays at rank ${whole(before)}` : `goes from rank ${whole(before)} to ${whole(after)}`}; `;
  }

  isTop(rank) {
    return rank > 0 && rank <= this.data.neighbors;
  }

  top(space, number, row, positives) {
    const other = this.data.spaces[1 - number];
    const items = this.list(space, row).map((at, n) => {
      const item = space.lists.item[at], good = positives.has(item);
      const numbers = `distance ${fixed(space.lists.distance[at])} · score ${fixed(space.lists.score[at])}`;
      return element("li", { class: good ? "anx-good" : "", "data-item": item },
        element("span", { class: "anx-rank" }, String(n + 1)),
        element("div", {},
          this.button(item),
          element("small", {}, good ? element("b", {}, "judged positive") : null, good ? " · " : null, numbers,
            other ? this.elsewhere(n + 1, space.lists.elsewhere[at], number) : null)));
    });
    return element("div", { class: `anx-top anx-space${number}` },
      element("h4", {}, space.label), element("ol", { "aria-label": `Top documents in ${space.label}` }, items));
  }

  // Where a document of one list stands in the other; the arrow goes from the first space on.
  elsewhere(rank, there, number) {
    const { label } = this.data.spaces[1 - number];
    if (!there) return ` · in ${label} beyond ${whole(this.data.depth)}`;
    const up = number === 0 ? rank - there : there - rank;
    const [way, words] = up > 0 ? ["↑", "higher"] : up < 0 ? ["↓", "lower"] : ["=", "same"];
    const said = up ? `${Math.abs(up)} ${words} in ${this.data.spaces[1].label}` : "same rank";
    return element("span", { class: `anx-way ${words}` }, ` · in ${label} ${whole(there)} `,
      element("span", { role: "img", "aria-label": said, title: said }, `(${way}${up ? Math.abs(up) : ""})`));
  }

  button(item) {
    const { data } = this, text = data.texts[item];
    return element("button", { type: "button", class: "anx-item", "data-item": item, onclick: () => this.hooks.pick(item, true) },
      element("code", {}, data.ids[item]), text ? ` ${text}` : "");
  }

  queriesOf(item) {
    const { data } = this, positives = [], lists = data.spaces.map(() => []);
    data.judgments.item.forEach((of, pair) => of === item && positives.push(data.listed[data.judgments.row[pair]]));
    data.spaces.forEach((space, number) => space.lists.item.forEach((of, at) => {
      if (of !== item) return;
      const row = Math.floor(at / data.neighbors);
      lists[number].push([at % data.neighbors + 1, data.listed[row], at]);
    }));
    for (const list of lists) list.sort((one, two) => one[0] - two[0]);
    return { positives, lists };
  }

  document(item) {
    const { data } = this, { positives, lists } = this.queriesOf(item);
    return [
      ...this.documentValues(item),
      element("h3", {}, "Judged positive for"),
      positives.length ? element("ul", { class: "anx-plain" }, positives.map((query) => element("li", {}, this.button(query))))
        : element("p", { class: "anx-hint" }, "None of the listed queries."),
      element("h3", {}, `In the top ${data.neighbors} of these queries`),
      element("div", { class: "anx-lists" }, data.spaces.map((space, number) => this.inLists(space, number, lists[number]))),
    ];
  }

  documentValues(item) {
    const { spaces, kept, valued } = this.data;
    if (item >= valued) return [];
    const lines = [
      ["queries that have it among their 10 nearest", (space) => space.occurrence[item] < 0 ? "–" : whole(space.occurrence[item])],
      ["drawn as a negative, in multiples of an even draw", (space) => fixed(space.even[item])],
      ["mean cosine with its 10 nearest documents", (space) => fixed(space.density[item])],
    ].map(([words, value]) => element("tr", {}, element("th", { scope: "row" }, words), spaces.map((space) => element("td", {}, value(space)))));
    return [
      this.table(["", ...spaces.map((space) => space.label)], lines, "Values of the document"),
      kept.length && Number.isFinite(kept[item]) ? element("p", {}, `It keeps ${Math.round(kept[item] * 10)} of its 10 nearest documents from ${spaces[0].label} to ${spaces[1].label}.`) : null,
    ];
  }

  inLists(space, number, list) {
    const shown = list.slice(0, 30);
    return element("div", { class: `anx-top anx-space${number}` },
      element("h4", {}, `${space.label}: ${whole(list.length)}`),
      element("ol", { "aria-label": `Queries that list it in ${space.label}` }, shown.map(([rank, query, at]) =>
        element("li", { "data-item": query },
          element("span", { class: "anx-rank" }, String(rank)),
          element("div", {}, this.button(query),
            element("small", {}, `distance ${fixed(space.lists.distance[at])} · score ${fixed(space.lists.score[at])}`))))),
      list.length > shown.length ? element("p", { class: "anx-hint" }, `and ${whole(list.length - shown.length)} more`) : null);
  }
}
