const COMPARE = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
};

// A cell as a number: 0.8123 of "0.8123 ± 0.0100 @120"; NaN of a word.
function numberOf(text) {
  return /^[+-]?(\d|\.\d)/.test(text) ? parseFloat(text) : NaN;
}

function columnNamed(name, columns) {
  const plain = name.toLowerCase();
  const tests = [
    (title) => title === plain,
    (title) => title.endsWith(`.${plain}`) || title.endsWith(`/${plain}`),
    (title) => title.includes(plain),
  ];
  for (const test of tests) {
    const place = columns.findIndex((column) => test(column.title.toLowerCase()) || test(column.key.toLowerCase()));
    if (place >= 0) return place;
  }
  return -1;
}

// Rows (arrays of cells) -> the set of places that pass all words of `text`.
function passing(text, columns, rows) {
  const tests = (text.match(/(?:[^\s"]|"[^"]*")+/g) || []).map((word) => testOf(word.replace(/"/g, ''), columns));
  const places = rows.map((_, place) => place);
  return new Set(places.filter((place) => tests.every((test) => test(rows[place]))));
}

function testOf(word, columns) {
  const found = /^([^<>=!]+)(<=|>=|!=|=|<|>)(.+)$/.exec(word);
  const column = found ? columnNamed(found[1], columns) : -1;
  if (column < 0) {
    const plain = word.toLowerCase();
    return (cells) => cells.some((cell) => cell.toLowerCase().includes(plain));
  }
  const [compare, bound] = [COMPARE[found[2]], numberOf(found[3])];
  return (cells) => {
    const value = numberOf(cells[column]);
    if (!Number.isNaN(bound)) return !Number.isNaN(value) && compare(value, bound);
    const asked = found[3].toLowerCase();
    const cell = cells[column].toLowerCase();
    // A condition's "2 completed, 1 failed" is both.
    const parts = [cell, ...cell.split(', ').map((part) => part.replace(/^\d+ /, ''))];
    if (found[2] === '=') return parts.includes(asked);
    if (found[2] === '!=') return !parts.includes(asked);
    return compare(cell, asked);
  };
}
