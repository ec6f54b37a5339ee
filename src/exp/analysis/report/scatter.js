// Every run's metric against one option, and the mean with its standard deviation where a condition has several seeds.
const drawScatterSoon = lazily('scatter', () => state.task.keys.length && state.task.metrics.length, drawScatter);

function drawScatter() {
  const { task } = state;
  const key = at('scatter-key').value;
  const metric = at('scatter-metric').value;
  const has = (place) => Number.isFinite(task.runs[place].best[metric]);
  const values = task.runs.map((run) => run.tuned[key]);
  const numbers = values.filter((value) => typeof value === 'number');
  const numeric = numbers.length > 0 && numbers.length === values.length;
  const log = numeric && Math.min(...numbers) > 0 && Math.max(...numbers) / Math.min(...numbers) >= WIDE;
  const xOf = (place) => (numeric ? values[place] : plotText(short(shown(values[place]), 28)));
  const traces = [];
  const rest = [...state.passing.runs].filter((place) => has(place) && !state.slots.has(task.runs[place].condition));
  if (rest.length) traces.push(points(rest, { color: css('--context'), size: 6 }, () => 'not ticked'));
  for (const condition of state.slots.keys()) {
    const own = task.conditions[condition].runs.filter((place) => isDrawn(place) && has(place));
    if (!own.length) continue;
    const { color } = styleOf(condition);
    traces.push(points(own, { color, size: 7, opacity: 0.6 }, (place) => `${task.conditions[condition].label}, seed ${shown(task.runs[place].seed)}`));
    if (own.length > 1) traces.push(meanOf(own, color));
  }

  function points(places, marker, name) {
    return {
      mode: 'markers', marker, x: places.map(xOf), y: places.map((place) => task.runs[place].best[metric]),
      text: places.map((place) => plotText(name(place))), hovertemplate: '%{text}<br>%{x}: %{y:.4~g}<extra></extra>',
    };
  }

  function meanOf(places, color) {
    const found = places.map((place) => task.runs[place].best[metric]);
    const mean = found.reduce((sum, one) => sum + one, 0) / found.length;
    const std = Math.sqrt(found.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (found.length - 1));
    return {
      mode: 'markers', marker: { color, size: 13, symbol: 'line-ew-open', line: { width: 2.5 } }, x: [xOf(places[0])], y: [mean],
      error_y: { type: 'data', array: [std], color, thickness: 1.6, width: 5 },
      hovertemplate: `mean of ${found.length}: %{y:.4~g} ± ${digits(std)}<extra></extra>`,
    };
  }

  const title = task.keys.find((one) => one.key === key).title;
  const base = layoutOf(metric);
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  const ticks = numeric && distinct.length <= 8 ? { tickvals: distinct, ticktext: distinct.map(shown) } : {};
  const layout = {
    ...base, uirevision: `${task.name} ${key} ${metric}`, yaxis: { ...base.yaxis, type: 'linear', title: { text: `best ${plotText(metric)}`, standoff: 8 } },
    xaxis: { ...base.xaxis, type: numeric ? (log ? 'log' : 'linear') : 'category', title: { text: plotText(title), standoff: 8 }, ...ticks },
    margin: { ...base.margin, l: 64 },
  };
  Plotly.react(at('scatter-plot'), traces, layout, { ...CONFIG, toImageButtonOptions: { format: 'svg', filename: 'scatter' } });
}
