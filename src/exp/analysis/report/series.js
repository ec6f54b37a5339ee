// From a run's stored points to what is drawn: the x axis, smoothing, mean and band over seeds.
const FEW = 10; // smoothing three evaluations would only move them
const GRID = 200;

function between(x, xs, ys) {
  if (!(x >= xs[0] && x <= xs[xs.length - 1])) return NaN;
  let low = 0;
  let high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  if (xs[high] === xs[low]) return ys[low];
  return ys[low] + ((x - xs[low]) / (xs[high] - xs[low])) * (ys[high] - ys[low]);
}

function xOf(run, grid, kind) {
  const steps = state.task.grids[grid];
  if (kind === 'step') return steps;
  run.cache ??= new Map();
  const key = `${kind} ${grid}`;
  if (!run.cache.has(key)) {
    const known = state.task.grids[run.clock.grid];
    const values = kind === 'time' ? run.clock.time : state.task.grids[run.clock.epoch];
    const scale = kind === 'tokens' ? run.tokens : 1;
    run.cache.set(key, steps.map((step) => scale * between(step, known, values)));
  }
  return run.cache.get(key);
}

// Exponential moving average that starts without a bias towards zero (Kingma and Ba 2015, section 3).
function smoothed(values, weight) {
  if (!weight || values.length < FEW) return values;
  let held = 0;
  let share = 1;
  return values.map((value) => {
    held = weight * held + (1 - weight) * value;
    share *= weight;
    return held / (1 - share);
  });
}

function line(run, key) {
  const series = run.series[key];
  if (!series) return null;
  return { run, x: xOf(run, series.grid, state.x), y: smoothed(series.values, state.smooth) };
}

function sharedGrid(lines) {
  if (lines.every((one) => one.x === lines[0].x)) return lines[0].x;
  const begin = Math.max(...lines.map((one) => one.x[0]));
  const all = [...new Set(lines.flatMap((one) => one.x))].filter((x) => x >= begin).sort((a, b) => a - b);
  if (all.length <= GRID) return all;
  return Array.from({ length: GRID }, (_, place) => all[Math.round((place * (all.length - 1)) / (GRID - 1))]);
}

// {x, mean, low, high, n, whole: points where every line takes part}
function overSeeds(lines, band) {
  const found = { x: [], mean: [], low: [], high: [], n: [], whole: 0 };
  for (const x of sharedGrid(lines)) {
    const values = lines.map((one) => between(x, one.x, one.y)).filter((value) => !Number.isNaN(value));
    if (!values.length) continue;
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    let low = Math.min(...values);
    let high = Math.max(...values);
    if (band === 'std') {
      const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      const std = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
      [low, high] = [mean - std, mean + std];
    }
    found.x.push(x);
    found.mean.push(mean);
    found.low.push(low);
    found.high.push(high);
    found.n.push(values.length);
    if (values.length === lines.length) found.whole = found.x.length;
  }
  return found;
}
