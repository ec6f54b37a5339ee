const X_TITLES = { step: 'optimizer step', epoch: 'epoch', time: 'seconds', tokens: 'training tokens, without padding' };
const CONTEXT_POINTS = 8000; // of all grey curves of a chart together: they are a background
const figures = new Map(); // metric -> {node, plot, dirty, visible}

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const figure = figures.get(entry.target.dataset.metric);
    if (figure) figure.visible = entry.isIntersecting || few();
  }
  drawSoon();
}, { rootMargin: '200px' });

function makeCharts() {
  for (const figure of figures.values()) {
    watcher.unobserve(figure.node);
    window.Plotly?.purge(figure.plot);
  }
  figures.clear();
  for (const metric of state.task.series.filter((key) => state.metrics.has(key))) {
    const plot = el('div', { class: 'plot', role: 'group', 'aria-label': `${metric} over ${X_TITLES[state.x]}` });
    const node = el('figure', { 'data-metric': metric }, el('figcaption', {}, el('h3', {}, metric)), plot);
    figures.set(metric, { node, plot, dirty: true, visible: false });
  }
  at('charts').replaceChildren(...[...figures.values()].map((figure) => figure.node));
  for (const figure of figures.values()) watcher.observe(figure.node);
}

function redraw() {
  for (const figure of figures.values()) figure.dirty = true;
  drawScatterSoon();
}

let asked = false;
function drawSoon() {
  if (asked) return;
  asked = true;
  // One chart a frame, so that the page answers between them.
  requestAnimationFrame(() => {
    asked = false;
    for (const [metric, figure] of figures) {
      if (figure.dirty && figure.visible && window.Plotly) {
        figure.dirty = false;
        figure.plot.setAttribute('aria-label', `${metric} over ${X_TITLES[state.x]}`);
        Plotly.react(figure.plot, tracesOf(metric), layoutOf(metric), CONFIG);
        drawSoon();
        return;
      }
    }
    for (const one of lazyPictures) one.drawIfSeen();
  });
}

// On paper nothing comes into view later.
function drawAll() {
  if (!window.Plotly) return;
  for (const [metric, figure] of figures) {
    if (figure.dirty) Plotly.react(figure.plot, tracesOf(metric), layoutOf(metric), CONFIG);
    figure.dirty = false;
  }
  for (const one of lazyPictures) {
    one.visible = true;
    one.drawIfSeen();
  }
}

const CONFIG = {
  displaylogo: false,
  responsive: true,
  modeBarButtons: [['zoom2d', 'pan2d', 'resetScale2d', 'toImage']],
  toImageButtonOptions: { format: 'svg', filename: 'curves' },
};

function isDrawn(run) {
  return state.passing.runs.has(run);
}

function tracesOf(metric) {
  const { conditions, runs } = state.task;
  const traces = [];
  const grey = { x: [], y: [] };
  const behind = [...state.passing.runs].filter((number) => !state.slots.has(runs[number].condition));
  for (const number of behind) addContext(grey, line(runs[number], metric), CONTEXT_POINTS / behind.length);
  if (grey.x.length) {
    const look = { color: css('--context'), width: 1 };
    traces.push({ ...grey, mode: 'lines', line: look, opacity: behind.length > 60 ? 0.5 : 1, hoverinfo: 'skip', connectgaps: false });
  }
  for (const place of state.slots.keys()) {
    const own = conditions[place].runs.filter(isDrawn).map((number) => line(runs[number], metric)).filter(Boolean);
    if (own.length) traces.push(...conditionTraces(place, own));
  }
  state.picked.forEach((number, which) => {
    const own = line(runs[number], metric);
    if (own) traces.push(runTrace(own, `${'AB'[which]}: ${runs[number].name}`, css('--ink'), which ? 'dot' : 'solid', 3));
  });
  return traces;
}

function addContext(grey, own, most) {
  if (!own) return;
  const stride = Math.ceil(own.x.length / Math.max(most, 6));
  for (let place = 0; place < own.x.length; place += stride) {
    grey.x.push(own.x[place]);
    grey.y.push(own.y[place]);
  }
  grey.x.push(null);
  grey.y.push(null);
}

function conditionTraces(place, lines) {
  const { color, dash } = styleOf(place);
  const { label } = state.task.conditions[place];
  const completed = lines.filter((one) => one.run.status === 'completed');
  const single = state.band === 'each' ? lines : lines.filter((one) => !completed.includes(one));
  const traces = single.map((one) => runTrace(one, `${label}, seed ${shown(one.run.seed)}${ending(one.run)}`, color, dash, 1.4));
  if (state.band === 'each' || !completed.length) return traces;
  const found = overSeeds(completed, state.band);
  if (completed.length > 1 && state.band !== 'none') {
    traces.push({
      x: [...found.x, ...found.x.slice().reverse()],
      y: [...found.high, ...found.low.slice().reverse()],
      mode: 'lines', line: { width: 0 }, fill: 'toself', fillcolor: translucent(color, 0.16), hoverinfo: 'skip',
    });
  }
  const told = found.x.map((_, at) =>
    found.n[at] > 1 ? `${digits(found.mean[at])} [${digits(found.low[at])}, ${digits(found.high[at])}] n=${found.n[at]}`
      : digits(found.mean[at]));
  const look = (dashed) => ({
    mode: found.x.length < FEW ? 'lines+markers' : 'lines', marker: { size: 5 },
    line: { color, width: 2.2, dash: dashed },
    hovertemplate: `${plotText(short(label))}<br>${state.x} %{x:.5~g}: %{text}<extra></extra>`,
  });
  const part = (from, to) => ({ x: found.x.slice(from, to), y: found.mean.slice(from, to), text: told.slice(from, to) });
  traces.push({ ...part(0, found.whole), ...look(dash) });
  // Fewer seeds reach these points, so the mean may jump: thinner.
  if (found.whole < found.x.length) {
    traces.push({ ...part(Math.max(found.whole - 1, 0)), ...look('dot'), opacity: 0.7 });
  }
  return traces;
}

const ending = (run) => (run.status === 'completed' ? '' : `, ${run.status}`);

function runTrace(own, name, color, dash, width) {
  return {
    x: own.x, y: own.y, mode: own.x.length < FEW ? 'lines+markers' : 'lines', marker: { size: 4 },
    line: { color, width, dash },
    hovertemplate: `${plotText(short(name))}<br>${state.x} %{x:.5~g}: %{y:.4~g}<extra></extra>`,
  };
}

function layoutOf(metric) {
  const axis = { gridcolor: css('--grid'), linecolor: css('--line'), zeroline: false, ticks: '' };
  return {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', showlegend: false, hovermode: 'closest',
    font: { family: 'system-ui, sans-serif', size: 12.5, color: css('--soft') },
    hoverlabel: { bgcolor: css('--raised'), bordercolor: css('--line'), font: { color: css('--ink'), size: 13 }, align: 'left' },
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: css('--soft'), activecolor: css('--accent') },
    margin: { l: 54, r: 12, t: 8, b: 40 },
    xaxis: { ...axis, type: state.logx ? 'log' : 'linear', title: { text: X_TITLES[state.x], standoff: 8 } },
    yaxis: { ...axis, type: state.logy ? 'log' : 'linear' },
    // A zoom is kept until what is drawn over changes.
    uirevision: `${state.task.name} ${metric} ${state.x} ${state.logx} ${state.logy}`,
  };
}

function drawLegend() {
  const places = [...state.slots.keys()];
  at('legend').replaceChildren(...places.map((place) => {
    const { label } = state.task.conditions[place];
    const button = el('button', { type: 'button', title: `${label}: take out`, 'aria-label': `take ${label} out of the curves`,
      onclick: () => toggleCondition(place) }, swatch(styleOf(place)), el('span', { class: 'name' }, label));
    return el('li', {}, button);
  }));
}
