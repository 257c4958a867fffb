// One map: points as pixels below, and above them what is picked, on a second canvas.

const COLORS = { positive: "#009E73", negative: "#A3247C", picked: "#000000", chosen: "#E69F00" };
const WHITE_RIM = [255, 255, 255], CHOSEN_RIM = rgb(COLORS.chosen);
const NEAR_ENOUGH = 14;

class PointMap {
  constructor(label, sides, hooks) {
    this.label = label;
    this.sides = sides;
    this.hooks = hooks;
    this.below = element("canvas", { "aria-hidden": "true" });
    this.above = element("canvas", { tabindex: "0", role: "application", class: "anx-above", ...OWN_KEYS });
    this.tip = element("div", { class: "anx-tip", hidden: true });
    this.frame = element("div", { class: "anx-frame" }, this.below, this.above, this.tip);
    this.size = { width: 0, height: 0, ratio: 1 };
    this.pointers = new Map();
    this.polygon = null;
    this.stampsFor = "";
    listenTo(this);
  }

  describe(text) {
    this.above.setAttribute("aria-label", text);
  }

  setPoints(x, y) {
    this.x = x;
    this.y = y;
  }

  setColors(codes, classes) {
    this.codes = codes;
    this.fills = classes.map(([, color]) => rgb(color));
    this.solids = Uint32Array.from(this.fills, pixel);
    const last = classes.length - 1;
    const level = (i) => (codes[i] === last ? -1 : codes[i]) - (this.sides[i] === DOT ? 100 : 0);
    this.order = Uint32Array.from(codes.keys()).sort((i, j) => level(i) - level(j) || i - j);
  }

  isHidden(i) {
    return this.sides[i] === this.hooks.hidden;
  }

  // Fit the canvases to the frame; true where the size has changed.
  resize() {
    const width = Math.round(this.frame.clientWidth), height = Math.round(this.frame.clientHeight);
    const ratio = clamp(window.devicePixelRatio || 1, 1, 3);
    if (!width || !height) return false;
    const { size } = this;
    if (size.width === width && size.height === height && size.ratio === ratio) return false;
    this.size = { width, height, ratio };
    for (const canvas of [this.below, this.above]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.stampsFor = "";
    return true;
  }

  place(i) {
    const { view } = this.hooks, { width, height } = this.size;
    return [
      (this.x[i] - view.x) * view.scale + width / 2,
      height / 2 - (this.y[i] - view.y) * view.scale,
    ];
  }

  at(px, py) {
    const { view } = this.hooks, { width, height } = this.size;
    return [view.x + (px - width / 2) / view.scale, view.y - (py - height / 2) / view.scale];
  }

  nearest(px, py, reach = NEAR_ENOUGH) {
    const [x, y] = this.at(px, py);
    let best = (reach / this.hooks.view.scale) ** 2, found = -1;
    for (let i = 0; i < this.x.length; i++) {
      const square = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      // A query lies above its document and is taken where both are as near.
      if (this.isHidden(i)) continue;
      if (square < best || (square === best && this.sides[i] !== DOT)) {
        best = square;
        found = i;
      }
    }
    return found;
  }

  radius() {
    const n = this.x.length, { view } = this.hooks;
    const base = n > 12000 ? 1.6 : n > 4000 ? 2.2 : n > 1200 ? 3 : 4.2;
    return base * clamp((view.scale / view.fit) ** 0.35, 1, 2.5);
  }

  prepareStamps() {
    const { ratio } = this.size, radius = Math.round(this.radius() * ratio * 4) / 4;
    const rim = Math.max(0.5, 0.28 * radius);
    const key = `${radius}`;
    if (this.stampsFor === key) return;
    this.stampsFor = key;
    this.margin = Math.ceil((radius + rim) * 1.3) + 3;
    const width = this.below.width + 2 * this.margin, height = this.below.height + 2 * this.margin;
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(width, height);
      this.buffer = new Uint32Array(this.image.data.buffer);
    }
    this.stamps = [TRIANGLE, DOT].map((shape) => {
      const r = shape === DOT ? radius : radius * 0.95;
      return [makeStamps(shape, r, rim, width).stamps, makeStamps(shape, r, rim * 2.2, width).stamps];
    });
  }

  draw() {
    if (!this.x || !this.size.width) return;
    this.prepareStamps();
    const { buffer, image, margin, stamps, x, y, codes, fills, solids, sides } = this;
    const { view, chosen, hidden } = this.hooks, { ratio, width, height } = this.size;
    const scale = view.scale * ratio, stride = image.width;
    const left = (width * ratio) / 2 - view.x * scale + margin;
    const top = (height * ratio) / 2 + view.y * scale + margin;
    const right = image.width - margin + 2, bottom = image.height - margin + 2, least = margin - 2;
    buffer.fill(0xffffffff);
    for (let n = 0; n < this.order.length; n++) {
      const i = this.order[n], px = left + x[i] * scale, py = top - y[i] * scale;
      if (px < least || py < least || px >= right || py >= bottom || sides[i] === hidden) continue;
      const ix = px | 0, iy = py | 0, is = chosen[i];
      const between = (((py - iy) * FINE) | 0) * FINE + (((px - ix) * FINE) | 0);
      const stamp = stamps[sides[i]][is][between], code = codes[i];
      blend(buffer, iy * stride + ix, stamp, fills[code], is ? CHOSEN_RIM : WHITE_RIM, solids[code]);
    }
    this.below.getContext("2d").putImageData(image, -margin, -margin);
  }

  drawAbove() {
    if (!this.x || !this.size.width) return;
    const context = this.above.getContext("2d"), { ratio, width, height } = this.size;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const { shown, hovered } = this.hooks;
    if (shown.picked >= 0 || shown.results.length) {
      context.fillStyle = "rgba(255, 255, 255, 0.62)";
      context.fillRect(0, 0, width, height);
    }
    for (const i of shown.results) this.ring(context, i, COLORS.picked, 1.2);
    if (shown.picked >= 0) this.drawPicked(context, shown);
    if (hovered >= 0) this.ring(context, hovered, COLORS.picked, 2.5, 3);
    if (this.polygon) this.drawPolygon(context);
    else if (this.above.matches(":focus-visible")) this.drawMiddle(context);
  }

  drawPicked(context, { picked, positives, negatives }) {
    const here = picked < this.x.length;
    const links = [
      [negatives[this.hooks.number], COLORS.negative, [4, 3], 1],
      [positives, COLORS.positive, [], 2.2],
    ].map(([items, ...style]) => [items.filter((i) => i >= 0 && i < this.x.length), ...style]);
    if (here) for (const [items, ...style] of links) this.drawLines(context, picked, items, style);
    if (here) this.ring(context, picked, COLORS.picked, 1.5);
    for (const [items, color, , thick] of links) for (const i of items) this.ring(context, i, color, thick + 0.6);
    if (here) this.drawHalo(context, picked);
  }

  drawLines(context, from, items, [color, dashes, thick]) {
    const [px, py] = this.place(from);
    context.strokeStyle = color;
    context.setLineDash(dashes);
    context.lineWidth = thick;
    context.beginPath();
    for (const i of items) {
      context.moveTo(px, py);
      context.lineTo(...this.place(i));
    }
    context.stroke();
    context.setLineDash([]);
  }

  // A circle around what is picked, so that what lies under it is still seen.
  drawHalo(context, i) {
    const [px, py] = this.place(i), r = this.radius() + 7;
    for (const [color, thick] of [["#fff", 5], [COLORS.picked, 2.2]]) {
      context.beginPath();
      context.arc(px, py, r, 0, 2 * Math.PI);
      context.lineWidth = thick;
      context.strokeStyle = color;
      context.stroke();
    }
  }

  // A point in its own color, once more above the veil, with a line around it.
  ring(context, i, color, thick, more = 1) {
    if (i < 0 || i >= this.x.length) return;
    const [px, py] = this.place(i), r = this.radius() + more;
    context.beginPath();
    if (this.sides[i] === DOT) context.arc(px, py, r, 0, 2 * Math.PI);
    else {
      context.moveTo(px, py - 1.25 * r);
      context.lineTo(px + 1.2 * r, py + 0.85 * r);
      context.lineTo(px - 1.2 * r, py + 0.85 * r);
      context.closePath();
    }
    context.fillStyle = `rgb(${this.fills[this.codes[i]].join(",")})`;
    context.fill();
    context.lineWidth = thick;
    context.strokeStyle = color;
    context.stroke();
  }

  drawPolygon(context) {
    context.beginPath();
    for (const [x, y] of this.polygon) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = "rgba(230, 159, 0, 0.15)";
    context.fill();
    context.setLineDash([5, 3]);
    context.lineWidth = 1.5;
    context.strokeStyle = "#000";
    context.stroke();
    context.setLineDash([]);
  }

  // Where Enter picks, for those who move the map by keys.
  drawMiddle(context) {
    const x = this.size.width / 2, y = this.size.height / 2;
    context.lineWidth = 1.5;
    context.strokeStyle = "#000";
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * dx, y + 4 * dy);
      context.lineTo(x + 11 * dx, y + 11 * dy);
    }
    context.stroke();
  }

  showTip(i, text) {
    this.tip.hidden = i < 0;
    if (i < 0) return;
    const [px, py] = this.place(i), { width, height } = this.size;
    this.tip.textContent = text;
    const right = px > width / 2, low = py > height / 2;
    this.tip.style.left = right ? "auto" : `${px + 12}px`;
    this.tip.style.right = right ? `${width - px + 12}px` : "auto";
    this.tip.style.top = low ? "auto" : `${py + 12}px`;
    this.tip.style.bottom = low ? `${height - py + 12}px` : "auto";
  }

  inside(polygon) {
    const found = [], corners = polygon.map(([px, py]) => this.at(px, py));
    for (let i = 0; i < this.x.length; i++) {
      if (!this.isHidden(i) && isInside(corners, this.x[i], this.y[i])) found.push(i);
    }
    return found;
  }
}

function isInside(corners, x, y) {
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [xi, yi] = corners[i], [xj, yj] = corners[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

// Pointers: drag moves, two fingers zoom, a short press picks, the lasso draws.
function listenTo(map) {
  const { above, hooks, pointers } = map;
  const where = (event) => {
    const box = above.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  let moved = 0;
  above.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    above.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, where(event));
    moved = 0;
    if (hooks.lassoing && pointers.size === 1) map.polygon = [where(event)];
  });
  above.addEventListener("pointermove", (event) => {
    const now = where(event), before = pointers.get(event.pointerId);
    if (!before) {
      hooks.hover(map.nearest(...now));
      return;
    }
    moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    if (map.polygon) map.polygon.push(...everyMove(event).map(where));
    else if (pointers.size === 2) pinch(map, event.pointerId, before, now);
    else hooks.move(before[0] - now[0], before[1] - now[1]);
    pointers.set(event.pointerId, now);
    hooks.redraw();
  });
  const stop = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    const { polygon } = map;
    map.polygon = null;
    if (event.type === "pointercancel") hooks.redraw();
    else if (polygon && moved > 8) hooks.lassoed(map.inside(polygon), event.shiftKey);
    else if (moved < 6) hooks.pick(map.nearest(...where(event)));
    hooks.redraw();
  };
  above.addEventListener("pointerup", stop);
  above.addEventListener("pointercancel", stop);
  above.addEventListener("pointerleave", () => hooks.hover(-1));
  above.addEventListener("wheel", (event) => {
    if (!hooks.takesWheel(event, above)) return;
    event.preventDefault();
    hooks.zoom(Math.exp(-clamp(event.deltaY, -120, 120) * 0.004), map.at(...where(event)));
  }, { passive: false });
  above.addEventListener("keydown", (event) => pressed(map, event));
  for (const name of ["focus", "blur"]) above.addEventListener(name, () => hooks.redraw());
}

// The moves that a busy browser has put together in one event: a lasso keeps its corners.
function everyMove(event) {
  const moves = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  return moves.length ? moves : [event];
}

function pinch(map, id, before, now) {
  const other = [...map.pointers].find(([key]) => key !== id)[1];
  const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
  map.hooks.zoom(apart(now) / apart(before), map.at(...other));
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function pressed(map, event) {
  const { hooks, size } = map;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in STEPS) hooks.move(...STEPS[event.key].map((way) => way * 40));
  else if (event.key === "+" || event.key === "=") hooks.zoom(1.3);
  else if (event.key === "-") hooks.zoom(1 / 1.3);
  else if (event.key === "0") hooks.reset();
  else if (event.key === "Enter") hooks.pick(map.nearest(size.width / 2, size.height / 2, 60));
  else return;
  event.preventDefault();
}
