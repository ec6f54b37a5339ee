// The share of each option in how the best runs differ from all, computed with the page: bars in a table.
function drawImportance() {
  const { importance, metric } = state.task;
  at('importance').hidden = !importance;
  if (!importance) return;
  at('importance-note').textContent = importance.note;
  const most = Math.max(...importance.shares.map(([, share]) => share));
  const rows = importance.shares.map(([title, share]) => {
    const bar = el('span', { class: 'bar', 'aria-hidden': 'true' });
    bar.style.width = `${((100 * share) / most).toFixed(1)}%`;
    return el('tr', {}, el('th', { scope: 'row', class: 'mono' }, title), el('td', { class: 'num' }, share.toFixed(2)), el('td', { class: 'bars' }, bar));
  });
  const head = el('tr', {}, el('th', { scope: 'col' }, 'option'), el('th', { scope: 'col', class: 'num' }, 'share'), el('td', {}));
  at('importance-table').replaceChildren(...(rows.length
    ? [el('table', { class: 'importance', 'aria-label': `importance of options for ${metric}` }, el('thead', {}, head), el('tbody', {}, ...rows))] : []));
}
