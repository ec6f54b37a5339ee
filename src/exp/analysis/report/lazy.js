// Pictures that are drawn when they come into view, after the curves: WebGL is slow to begin.
const lazyPictures = [];

// `shown()`: whether the section has anything to show; `draw()`: draws it. Returns what asks for a new drawing.
function lazily(id, shown, draw) {
  const one = { visible: false, dirty: true };
  one.drawIfSeen = () => {
    if (!one.dirty || !one.visible || at(id).hidden || !window.Plotly) return;
    one.dirty = false;
    draw();
  };
  lazyPictures.push(one);
  new IntersectionObserver(([entry]) => {
    one.visible = entry.isIntersecting || few();
    drawSoon();
  }).observe(at(id));
  return () => {
    one.dirty = true;
    at(id).hidden = !shown();
    drawSoon();
  };
}
