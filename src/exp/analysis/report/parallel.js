const WIDE = 10; // a range over this factor is read on a log axis
let ranges = new Map(); // axis -> kept range, as plotly gives it

const drawParallelSoon = lazily('parallel', () => state.task.conditions.length > 1 && state.task.keys.length && state.task.metrics.length, () => {
  try {
    drawParallel();
  } catch (error) {
    at('parallel-plot').replaceChildren(el('p', { class: 'notice' }, `Parallel coordinates could not be drawn: ${error.message}`));
  }
});

function drawParallel() {
  const { task } = state;
  const metric = at('parallel-metric').value;
  const places = task.runs.map((_, place) => place)
    .filter((place) => state.filtered.runs.has(place) && Number.isFinite(task.runs[place].best[metric]));
  const runs = places.map((place) => task.runs[place]);
  const axes = task.keys.map(({ key, title }) => axisOf(title, runs.map((run) => run.tuned[key])));
  const values = runs.map((run) => run.best[metric]);
  axes.push({ label: plotText(`best ${metric}`), values });
  axes.forEach((axis) => { if (ranges.has(axis.label)) axis.constraintrange = ranges.get(axis.label); });
  const plot = at('parallel-plot');
  const trace = {
    type: 'parcoords', dimensions: axes, labelfont: { color: css('--ink'), size: 12.5 },
    tickfont: { color: css('--soft'), size: 11.5 }, rangefont: { color: css('--soft'), size: 10 },
    unselected: { line: { color: css('--line'), opacity: 0.25 } },
    line: { color: values, colorscale: scale(), reversescale: Boolean(task.lower[metric]), showscale: true,
      colorbar: { thickness: 10, outlinewidth: 0, tickfont: { color: css('--soft') } } },
  };
  const many = axes.length > 8;
  if (many) Object.assign(trace, { labelangle: -25 });
  const layout = { paper_bgcolor: 'rgba(0,0,0,0)', font: { family: 'system-ui, sans-serif' }, margin: { l: 70, r: 30, t: many ? 90 : 46, b: 24 } };
  Plotly.react(plot, [trace], layout, { displayModeBar: false, responsive: true });
  if (!plot.listening) {
    plot.listening = true;
    plot.on('plotly_restyle', () => brushed(plot));
  }
  plot.places = places;
}

// One hue from faint to strong, the best strongest: read with every colour blindness, and on both papers.
function scale() {
  return css('--scale').split(/\s+/).map((color, place, all) => [place / (all.length - 1), color]);
}

// Numbers keep their order (on a log scale where they span much); words get places, by name.
function axisOf(title, raw) {
  const label = plotText(short(title, 26));
  const numbers = raw.filter((value) => typeof value === 'number');
  if (numbers.length === raw.length && numbers.length) {
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    if (low > 0 && high / low >= WIDE) {
      const ticks = [...new Set(numbers)].length <= 8 ? [...new Set(numbers)] : powers(low, high);
      return { label, values: numbers.map(Math.log10), tickvals: ticks.map(Math.log10), ticktext: ticks.map(tick) };
    }
    const distinct = [...new Set(numbers)];
    return distinct.length <= 8 ? { label, values: numbers, tickvals: distinct, ticktext: distinct.map(tick) }
      : { label, values: numbers };
  }
  const names = [...new Set(raw.map(shown))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  return {
    label, values: raw.map((value) => names.indexOf(shown(value))), range: [-0.2, names.length - 0.8],
    tickvals: names.map((_, place) => place), ticktext: names.map((name) => plotText(short(name, 22))),
  };
}

const tick = (value) => shown(Number(value.toPrecision(4)));

function powers(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power += 1) found.push(10 ** power);
  return found;
}

function brushed(plot) {
  const axes = plot.data[0].dimensions;
  const kept = axes.filter((axis) => axis.constraintrange);
  ranges = new Map(kept.map((axis) => [axis.label, axis.constraintrange]));
  const inside = (axis, value) => {
    const list = Array.isArray(axis.constraintrange[0]) ? axis.constraintrange : [axis.constraintrange];
    return list.some(([low, high]) => value >= low && value <= high);
  };
  state.brushed = kept.length
    ? new Set(plot.places.filter((_, row) => kept.every((axis) => inside(axis, axis.values[row]))))
    : null;
  at('unbrush').hidden = !kept.length;
  applyFilter(false);
}

function unbrush() {
  ranges = new Map();
  state.brushed = null;
  at('unbrush').hidden = true;
  applyFilter(true);
}
