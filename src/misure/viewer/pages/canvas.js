// One plane of the image on a canvas: zoom, place, and the drawing of layers.

const MOST_ZOOM = 64; // pixels of the screen for one of the image
const SHARP_FROM = 2; // zoom from which single pixels are told apart

export class View {
  // `layersOf(view)` gives what is drawn: see #layer.
  constructor(plane, layersOf) {
    this.plane = plane;
    this.layersOf = layersOf;
    this.element = document.createElement("canvas");
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "application");
    this.context = this.element.getContext("2d");
    this.zoom = 1; // pixels of the screen for the smaller side of a pixel of the image
    this.left = 0; // of the image, in pixels of the screen
    this.top = 0;
    this.isFitted = true;
    this.isSized = false; // nothing is drawn before the size of the stage is known
    this.cursor = null; // {x, y} of the pointer, in pixels of the image
    this.isAsked = false;
    this.observer = new ResizeObserver(() => this.#resized());
    this.observer.observe(this.element);
  }

  get unit() {
    return Math.min(...this.plane.cell);
  }

  // Pixels of the screen for one of the image: across and down.
  get across() {
    return (this.zoom * this.plane.cell[1]) / this.unit;
  }

  get down() {
    return (this.zoom * this.plane.cell[0]) / this.unit;
  }

  get density() {
    return window.devicePixelRatio || 1;
  }

  #resized() {
    const { clientWidth, clientHeight } = this.element;
    if (!clientWidth || !clientHeight) return;
    this.isSized = true;
    this.element.width = Math.round(clientWidth * this.density);
    this.element.height = Math.round(clientHeight * this.density);
    if (this.isFitted) this.fit();
    else this.#bound();
    this.draw(true);
  }

  fit() {
    const { width, height, cell } = this.plane;
    const wide = this.element.clientWidth / ((width * cell[1]) / this.unit);
    const high = this.element.clientHeight / ((height * cell[0]) / this.unit);
    this.zoom = Math.max(0.001, Math.min(wide, high, MOST_ZOOM));
    this.isFitted = true;
    this.#bound();
    this.draw();
  }

  // Zooms by a factor and keeps a place of the element where it is.
  zoomBy(factor, at = this.#middle()) {
    this.zoomTo(this.zoom * factor, this.pointAt(at.x, at.y), at);
  }

  // Zooms, and puts a point of the image at a place of the element.
  zoomTo(zoom, point, at) {
    const least = Math.min(this.#fitting(), 1) * 0.9;
    this.zoom = Math.max(least, Math.min(MOST_ZOOM, zoom));
    this.isFitted = false;
    this.left = at.x - point.x * this.across;
    this.top = at.y - point.y * this.down;
    this.#bound();
    this.draw();
  }

  moveBy(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.isFitted = false;
    this.#bound();
    this.draw();
  }

  #fitting() {
    const { width, height, cell } = this.plane;
    const wide = (width * cell[1]) / this.unit;
    const high = (height * cell[0]) / this.unit;
    return Math.min(this.element.clientWidth / wide, this.element.clientHeight / high);
  }

  #middle() {
    return { x: this.element.clientWidth / 2, y: this.element.clientHeight / 2 };
  }

  // Small images stay in the middle, large ones leave no edge of the stage empty.
  #bound() {
    const bound = (start, size, room) =>
      (size <= room ? (room - size) / 2 : Math.max(room - size, Math.min(0, start)));
    const { width, height } = this.plane;
    this.left = bound(this.left, width * this.across, this.element.clientWidth);
    this.top = bound(this.top, height * this.down, this.element.clientHeight);
  }

  // The point of the image (in its pixels) at a place of the element.
  pointAt(x, y) {
    return { x: (x - this.left) / this.across, y: (y - this.top) / this.down };
  }

  pixelAt(x, y) {
    const point = this.pointAt(x, y);
    const [row, column] = [Math.floor(point.y), Math.floor(point.x)];
    const isInside = row >= 0 && column >= 0 && row < this.plane.height
      && column < this.plane.width;
    return isInside ? { row, column } : null;
  }

  // Moves the image so far that a pixel of it is seen.
  reveal({ row, column }) {
    const x = this.left + (column + 0.5) * this.across;
    const y = this.top + (row + 0.5) * this.down;
    const margin = 24;
    const dx = Math.max(0, margin - x) - Math.max(0, x - this.element.clientWidth + margin);
    const dy = Math.max(0, margin - y) - Math.max(0, y - this.element.clientHeight + margin);
    const isOutside = this.plane.width * this.across > this.element.clientWidth
      || this.plane.height * this.down > this.element.clientHeight;
    if ((dx || dy) && isOutside) this.moveBy(dx, dy);
  }

  draw(isNow = false) {
    if (isNow) {
      this.#drawn();
      return;
    }
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.#drawn();
    });
  }

  #drawn() {
    const { context, element } = this;
    if (!this.isSized || !element.isConnected) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, element.width, element.height);
    for (const layer of this.layersOf(this)) this.#layer(layer);
  }

  // {picture, alpha} | {path, colour, dash, width} | {cross} | {circle, radius} | {square}
  #layer(layer) {
    const { context } = this;
    const scale = this.density;
    if (layer.picture) {
      context.setTransform(scale, 0, 0, scale, 0, 0);
      context.globalAlpha = layer.alpha ?? 1;
      context.imageSmoothingEnabled = this.zoom * scale < SHARP_FROM || Boolean(layer.isSmooth);
      context.imageSmoothingQuality = "high";
      const { width, height } = this.plane;
      context.drawImage(
        layer.picture, this.left, this.top, width * this.across, height * this.down,
      );
      context.globalAlpha = 1;
    } else if (layer.path) {
      this.#line(this.#placed(layer.path), layer);
    } else if (layer.cross) {
      this.#line(this.#crossHair(layer.cross), { colour: layer.colour, width: 1, alpha: 0.75 });
    } else if (layer.circle) {
      this.#line(this.#brush(layer.circle, layer.radius), { colour: "#fff", width: 1.2 });
    } else if (layer.square) {
      const { row, column } = layer.square;
      const pixel = new Path2D();
      pixel.rect(column, row, 1, 1);
      this.#line(this.#placed(pixel), { colour: "#fff", width: 1.5 });
    }
  }

  #placed(path) {
    const placed = new Path2D();
    placed.addPath(path, new DOMMatrix([this.across, 0, 0, this.down, this.left, this.top]));
    return placed;
  }

  #crossHair({ row, column }) {
    const path = new Path2D();
    const x = Math.round(this.left + (column + 0.5) * this.across) + 0.5;
    const y = Math.round(this.top + (row + 0.5) * this.down) + 0.5;
    const gap = Math.max(8, this.across);
    const { clientWidth, clientHeight } = this.element;
    for (const [from, to] of [[0, x - gap], [x + gap, clientWidth]]) {
      path.moveTo(from, y);
      path.lineTo(to, y);
    }
    for (const [from, to] of [[0, y - gap], [y + gap, clientHeight]]) {
      path.moveTo(x, from);
      path.lineTo(x, to);
    }
    return path;
  }

  #brush({ x, y }, radius) {
    const path = new Path2D();
    const [px, py] = [this.left + x * this.across, this.top + y * this.down];
    path.arc(px, py, Math.max(1.5, radius * this.zoom), 0, 2 * Math.PI);
    return path;
  }

  // A dark line below a light or coloured one is seen on any picture.
  #line(path, { colour, dash = [], width = 2, alpha = 1 }) {
    const { context } = this;
    const scale = this.density;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.lineJoin = "round";
    context.globalAlpha = alpha;
    context.setLineDash([]);
    context.lineWidth = width + 2;
    context.strokeStyle = "rgb(0 0 0 / 0.65)";
    context.stroke(path);
    context.setLineDash(dash);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke(path);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }
}
