// The table of scores: methods, below a method its runs.
function setUpTable() {
  const { keys, rows } = PANELS.table.content;
  const open = new Set();
  let sort = [null, 1];
  let reference = rows.length ? rows[0].method : null;
  const controls = element('div', { class: 'controls' });
  const holder = element('div', { class: 'scroll' });
  const against = choice('Difference to', rows.map((row) => [row.method, labelOf(row.method)]), reference,
    (value) => { reference = value; draw(); });
  const all = element('button', { type: 'button', click: () => {
    if (open.size) open.clear(); else rows.forEach((row) => open.add(row.method));
    draw();
  } }, 'Show single runs');
  controls.append(against.node, all);
  body('table').append(controls, holder);

  const columns = [
    ['name', 'Method', (row) => labelOf(row.method)],
    ...keys.slice(0, 1).map((key) => [key, key, (row) => row.scores[key].mean]),
    ['change', 'Difference', (row) => change(row)],
    ...keys.slice(1).map((key) => [key, key.replace(/^mIoU\./, ''), (row) => row.scores[key].mean]),
    ['steps', 'Steps', (row) => row.steps], ['seconds', 'Duration', (row) => row.seconds],
    ['memory', 'Memory (GiB)', (row) => row.memory_gib], ['state', 'State', (row) => stateOf(row)],
  ];

  function change(row) {
    const base = rows.find((one) => one.method === reference).scores[keys[0]].mean;
    const value = row.scores[keys[0]].mean;
    return row.method === reference || base === null || value === null ? null : value - base;
  }

  function stateOf(row) {
    const count = row.runs.filter((run) => run.state === 'finished').length;
    return count === row.runs.length ? `${count} finished` : `${count} of ${row.runs.length} finished`;
  }

  function methodRow(row) {
    const score = (key, main) => element('td', { class: main ? 'main' : null }, format(row.scores[key].mean, 2),
      row.scores[key].std === null ? null : element('span', { class: 'std' }, `± ${row.scores[key].std.toFixed(2)}`));
    return element('tr', { class: 'method', 'data-method': row.method, 'aria-expanded': String(open.has(row.method)), ...pressed(() => {
      if (!open.delete(row.method)) open.add(row.method);
      draw();
    }) },
    element('td', null, element('span', { class: 'name', title: row.method }, dot(runsOf(row.method)[0].colour),
      labelOf(row.method)), row.partial ? element('span', { class: 'std' }, 'not finished') : null),
    keys.slice(0, 1).map((key) => score(key, true)),
    element('td', null, row.method === reference ? element('span', { class: 'change' }, 'reference') : sign(change(row), 2)),
    keys.slice(1).map((key) => score(key, false)), ...lastCells(row), element('td', { class: 'state' }, stateOf(row)));
  }

  function runRow(run) {
    const told = run.state + (run.evaluated !== null && run.evaluated < run.max_steps ? `, scored at step ${run.evaluated}` : '');
    return element('tr', { class: 'run' }, element('td', null, element('span', { class: 'name', title: RUNS[run.run].folder },
      RUNS[run.run].which)),
    keys.slice(0, 1).map((key) => element('td', null, format(run.scores[key], 2))), element('td', null, ''),
    keys.slice(1).map((key) => element('td', null, format(run.scores[key], 2))), ...lastCells(run),
    element('td', { class: 'state' }, told));
  }

  function lastCells(row) {
    const steps = row.max_steps && row.steps !== row.max_steps ? `${row.steps} of ${row.max_steps}` : String(row.steps);
    return [element('td', null, steps), element('td', null, duration(row.seconds)), element('td', null, format(row.memory_gib, 1))];
  }

  function draw() {
    const shown = new Set(shownMethods());
    let listed = rows.filter((row) => shown.has(row.method));
    if (sort[0] !== null) {
      const value = columns.find(([key]) => key === sort[0])[2];
      listed = [...listed].sort((a, b) => compare(value(a), value(b), sort[1]));
    }
    all.textContent = open.size ? 'Hide single runs' : 'Show single runs';
    const head = columns.map(([key, title]) => element('th', {
      'data-sort': key, 'aria-sort': ariaSort(key, sort), scope: 'col', ...pressed(sorter(key, sort, (next) => { sort = next; draw(); })),
    }, title));
    holder.replaceChildren(element('table', null, element('thead', null, element('tr', null, head)),
      element('tbody', null, listed.flatMap((row) => [methodRow(row),
        ...(open.has(row.method) ? row.runs.filter((run) => isShown(RUNS[run.run])).map(runRow) : [])]))));
  }
  redraws.push(draw);
}

function duration(seconds) {
  if (seconds === null) return '–';
  const minutes = Math.round(seconds / 60);
  if (minutes < 1) return `${Math.round(seconds)} s`;
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')}`;
}
