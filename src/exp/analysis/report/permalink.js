// What one looks at stands in the address: a copied link, or a reload, shows the same view.
const KEPT = ['view', 'filter', 'group', 'x', 'band', 'smooth', 'logx', 'logy'];
const DEFAULTS = Object.fromEntries(KEPT.map((name) => [name, String(state[name])]));

function remember() {
  const said = new URLSearchParams();
  if (state.task !== DATA.tasks[0]) said.set('task', state.task.name);
  for (const name of KEPT) if (String(state[name]) !== DEFAULTS[name]) said.set(name, state[name]);
  const { task } = state;
  const ids = [...state.slots.keys()].map((place) => task.conditions[place].id);
  if (ids.join() !== state.opened.conditions) said.set('conditions', ids.join());
  if ([...state.metrics].join() !== state.opened.metrics) said.set('metrics', [...state.metrics].join());
  if (state.hidden.size) said.set('hidden', [...state.hidden].join());
  for (const name of ['pinned', 'open']) for (const one of state[name]) said.append(name, one);
  if (state.picked.length) said.set('runs', state.picked.map((place) => task.runs[place].id).join());
  try {
    history.replaceState(null, '', `#${said}`);
  } catch { /* a page inside another may not */ }
}

// Before a task is shown. Returns its place among the tasks.
function recallState(said) {
  for (const name of KEPT) {
    if (!said.has(name)) continue;
    const value = said.get(name);
    state[name] = { smooth: Number(value) || 0, logx: value === 'true', logy: value === 'true' }[name] ?? value;
    if (at(name) && name !== 'x') at(name)[name.startsWith('log') ? 'checked' : 'value'] = state[name];
  }
  if (!['conditions', 'runs'].includes(state.view)) state.view = 'conditions';
  at('smooth-value').textContent = String(state.smooth);
  return Math.max(0, DATA.tasks.findIndex((task) => task.name === said.get('task')));
}

// After it: what only this task knows.
function recallTask(said) {
  const { task } = state;
  const list = (name) => (said.get(name) ?? '').split(',').filter(Boolean);
  if (said.has('conditions')) {
    state.slots.clear();
    for (const id of list('conditions')) {
      const place = task.conditions.findIndex((condition) => condition.id === id);
      if (place >= 0) colourIn(place);
    }
    tables.conditions.redecorate();
    drawLegend();
  }
  if (said.has('metrics')) {
    state.metrics = new Set(list('metrics').filter((key) => task.series.includes(key)));
    at('metric-chooser').replaceChildren(...task.series.map(metricBox));
    makeCharts();
  }
  if (said.has('hidden')) state.hidden = new Set(list('hidden'));
  for (const name of ['pinned', 'open']) said.getAll(name).forEach((one) => state[name].add(one));
  if (['hidden', 'pinned', 'open'].some((name) => said.has(name))) {
    makeTables();
    applyFilter(true);
  }
  if (said.has('runs')) {
    const wanted = list('runs');
    state.picked = wanted.map((id) => task.runs.findIndex((run) => run.id === id)).filter((place) => place >= 0).slice(0, 2);
    afterPick();
  }
}
