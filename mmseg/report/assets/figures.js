// Panels that are Plotly figures.
function setUpCurves() {
  const { keys, traces } = PANELS.curves.content;
  const loss = keys.find((key) => /loss_seg$/.test(key)) || keys.find((key) => key.includes('loss')) || keys[0];
  const holder = element('div', { class: 'pair' });
  let window = 1;
  const smooth = element('input', { type: 'range', min: 1, max: 20, value: 1, 'aria-label': 'Smoothing', input: () => {
    window = Number(smooth.value);
    told.textContent = window === 1 ? 'as logged' : `mean of ${window}`;
    draws.forEach((draw) => draw());
  } });
  const told = element('span', null, 'as logged');
  const draws = [keys[0], loss].map((first) => {
    let key = first;
    const figure = element('div', { class: 'figure' });
    const pick = choice('Value', keys.map((one) => [one, one]), key, (value) => { key = value; draw(); });
    holder.append(element('div', null, element('div', { class: 'controls' }, pick.node), figure));
    function draw() {
      const unit = (traces.find((one) => one.meta.key === key) || { meta: { unit: '' } }).meta.unit;
      const data = traces.filter((one) => one.meta.key === key && isShown(RUNS[one.meta.run])).map((one) => ({
        ...one, y: smoothed(one.y, unit === '%' ? 1 : window), name: RUNS[one.meta.run].label, line: lineOf(RUNS[one.meta.run]),
        hovertemplate: `%{y:.4g}${unit} at step %{x}` }));
      plot(figure, data, { showlegend: false, xaxis: { title: { text: 'step' } },
        yaxis: { title: { text: unit ? `${key} (${unit})` : key } } });
    }
    return draw;
  });
  body('curves').append(element('div', { class: 'controls' }, element('label', null, 'Smooth training values', smooth), told), holder);
  redraws.push(...draws);
}

function smoothed(values, window) {
  return values.map((_, i) => mean(values.slice(Math.max(0, i - window + 1), i + 1)));
}

function setUpConfusion() {
  const { figures } = PANELS.confusion.content;
  const options = runOptions(new Set(Object.keys(figures)));
  const holder = element('div', { class: 'pair' });
  body('confusion').append(holder);
  const count = Math.min(options.length, 2);
  for (let place = 0; place < count; place += 1) {
    let run = options[place === 0 ? 0 : options.length - 1][0];
    const figure = element('div', { class: 'figure tall' });
    const pick = choice('Run', options, run, (value) => { run = value; draw(); });
    holder.append(element('div', null, element('div', { class: 'controls' }, pick.node), figure));
    const draw = () => plot(figure, figures[run].data, { ...figures[run].layout, margin: { l: 90, r: 10, t: 10, b: 90 } });
    redraws.push(draw);
  }
}

function setUpCertainty() {
  const { histograms, reliability, scores, names } = PANELS.certainty.content;
  const options = runOptions(new Set(Object.keys(histograms)));
  const balanced = options.filter(([id]) => histograms[id].layout.shapes);
  let run = (balanced[0] || options[options.length - 1])[0];
  const pick = choice('Entropies of', options, run, (value) => { run = value; drawHistogram(); });
  const [left, right] = [0, 1].map(() => element('div', { class: 'figure' }));
  const table = element('div', { class: 'scroll' });
  body('certainty').append(element('div', { class: 'controls' }, pick.node),
    element('div', { class: 'pair' }, element('div', null, left), element('div', null, right)), table);
  function drawHistogram() {
    plot(left, histograms[run].data, { ...histograms[run].layout, legend: { x: 1, y: 1, xanchor: 'right', bgcolor: 'rgba(0,0,0,0)' } });
  }
  redraws.push(drawHistogram, () => {
    const diagonal = { x: [0, 1], y: [0, 1], mode: 'lines', line: { color: colour('--soft'), dash: 'dot', width: 1 }, hoverinfo: 'skip' };
    const data = reliability.filter((one) => isShown(RUNS[one.meta.run])).map((one) => ({
      ...one, line: lineOf(RUNS[one.meta.run]), name: RUNS[one.meta.run].label }));
    plot(right, [diagonal, ...data], { showlegend: false, xaxis: { title: { text: 'confidence' }, range: [0, 1.01] },
      yaxis: { title: { text: 'share that is right' }, range: [0, 1.01] } });
    const rows = shownRuns().filter((one) => scores[one.id]).map((one) => element('tr', null,
      element('td', null, dot(one.colour), one.label), Object.keys(names).map((key) => element('td', null, format(scores[one.id][key], 2)))));
    table.replaceChildren(element('table', null, element('thead', null, element('tr', null, element('th', null, 'Run'),
      Object.values(names).map((name) => element('th', null, name)))), element('tbody', null, rows)));
  });
}

function setUpRare() {
  const { data, layout } = PANELS.rare.content;
  const figure = element('div', { class: 'figure' });
  body('rare').append(figure);
  redraws.push(() => plot(figure, data.filter((one) => one.meta.runs.some((id) => isShown(RUNS[id]))).map((one) => ({
    ...one, marker: { color: colour('--accent') } })), { ...layout, showlegend: data.length > 1 }));
}
