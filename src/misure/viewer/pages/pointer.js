// Mouse, pen and fingers on a view, as what they mean: look, click, stroke, move, zoom, window.

const CLICK_PX = 5; // that a pointer may slip in a click

// `act` has hover(view, pixel), click, strokeStart, strokeMove, strokeEnd (view, point, event),
// strokeCancel(), scrub(view, point), canScrub(), wheel(view, steps, event, place),
// windowBy(dx, dy), isPainting() and zoomed().
export function listen(view, act) {
  const { element } = view;
  const fingers = new Map(); // pointer number -> place in the element
  let gesture = null; // {kind, start, last}
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  element.addEventListener("pointerdown", (event) => {
    element.focus({ preventScroll: true });
    try {
      element.setPointerCapture(event.pointerId);
    } catch {
      // the pointer is gone already
    }
    const at = place(event);
    fingers.set(event.pointerId, at);
    if (fingers.size === 2) {
      if (gesture?.kind === "stroke") act.strokeCancel();
      gesture = pinchStart(view, fingers);
    } else if (fingers.size === 1) {
      gesture = { kind: kindOf(event, act), start: at, last: at };
      if (gesture.kind === "stroke") act.strokeStart(view, view.pointAt(at.x, at.y), event);
    }
    event.preventDefault();
  });

  element.addEventListener("pointermove", (event) => {
    const at = place(event);
    view.cursor = view.pointAt(at.x, at.y);
    if (!gesture) {
      act.hover(view, view.pixelAt(at.x, at.y));
      return;
    }
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (gesture.kind === "pinch") {
      fingers.set(event.pointerId, at);
      if (fingers.size === 2) pinch(view, fingers, gesture);
      act.zoomed();
    } else if (gesture.kind === "stroke") {
      act.strokeMove(view, event.getCoalescedEvents?.().length
        ? event.getCoalescedEvents().map(place).map(({ x, y }) => view.pointAt(x, y))
        : [view.cursor]);
    } else if (gesture.kind === "window") {
      act.windowBy(at.x - before.x, at.y - before.y);
    } else {
      const slipped = Math.hypot(at.x - gesture.start.x, at.y - gesture.start.y);
      if (gesture.kind === "click" && slipped > CLICK_PX) {
        gesture.kind = act.canScrub() ? "scrub" : "move";
      }
      if (gesture.kind === "scrub") act.scrub(view, view.cursor);
      if (gesture.kind === "move") view.moveBy(at.x - before.x, at.y - before.y);
    }
    fingers.set(event.pointerId, at);
  });

  const end = (event) => {
    fingers.delete(event.pointerId);
    if (!gesture) return;
    const { kind } = gesture;
    if (kind === "pinch" && fingers.size) return;
    gesture = null;
    if (kind === "stroke") {
      if (event.type === "pointerup") act.strokeEnd();
      else act.strokeCancel();
    }
    if (kind === "click" && event.type === "pointerup") {
      const at = place(event);
      act.click(view, view.pixelAt(at.x, at.y), event);
    }
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
  element.addEventListener("pointerleave", () => {
    view.cursor = null;
    if (!gesture) act.hover(view, null);
  });
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const steps = Math.sign(event.deltaY);
    if (steps) act.wheel(view, steps, event, place(event));
  }, { passive: false });
}

function kindOf(event, act) {
  if (event.button === 2) return "window";
  if (event.button === 1 || event.altKey) return "move";
  return act.isPainting() ? "stroke" : "click";
}

function between(fingers) {
  const [a, b] = [...fingers.values()];
  return { at: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }, wide: Math.hypot(a.x - b.x, a.y - b.y) };
}

// What two fingers began with: the point of the image between them stays between them.
function pinchStart(view, fingers) {
  const { at, wide } = between(fingers);
  return { kind: "pinch", wide: Math.max(10, wide), zoom: view.zoom, point: view.pointAt(at.x, at.y) };
}

function pinch(view, fingers, start) {
  const { at, wide } = between(fingers);
  view.zoomTo((start.zoom * wide) / start.wide, start.point, at);
}
