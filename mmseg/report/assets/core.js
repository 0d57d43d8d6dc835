'use strict';
// The data of the page, which runs are shown, and what all panels share.
const DATA = JSON.parse(document.getElementById('data').textContent);
const RUNS = DATA.runs;
const PANELS = Object.fromEntries(DATA.panels.map((panel) => [panel.id, panel]));
const METHODS = [...new Set(RUNS.map((run) => run.method))];
const DASHES = ['solid', 'dash', 'dot', 'dashdot', 'longdash'];
const hidden = new Set();
const redraws = [];
let filter = '';

// An element; attributes that are functions are handlers, children texts or elements.
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === 'function') made.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function matches(run) {
  return filter.split(/\s+/).every((word) => `${run.name} ${run.label} ${run.folder}`.toLowerCase().includes(word));
}

function isShown(run) { return !hidden.has(run.id) && matches(run); }
function shownRuns() { return RUNS.filter(isShown); }
function shownMethods() { return METHODS.filter((method) => RUNS.some((run) => run.method === method && isShown(run))); }
function runsOf(method) { return RUNS.filter((run) => run.method === method); }
function labelOf(method) { return runsOf(method)[0].method_label; }
function breakable(name) { return name.replaceAll('_', '_\u200b'); }
function dot(colour) { return element('span', { class: 'dot', style: `background:${colour}` }); }
function body(id) { return document.querySelector(`#${id} .body`); }
function format(value, digits) { return value === null || value === undefined ? '–' : value.toFixed(digits); }
function mean(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}
function redraw() { for (const draw of redraws) draw(); }

// A labelled choice of [value, text] pairs; `keep` is chosen again if it is still there.
function choice(label, options, chosen, change) {
  const select = element('select', { change: () => change(select.value) });
  fill(select, options, chosen);
  return { node: element('label', null, label, select), select };
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => element('option', { value }, text)));
  const values = options.map(([value]) => String(value));
  select.value = values.includes(String(chosen)) ? String(chosen) : values[0];
}

// The last mIoU of a run; null if it was not evaluated.
function scoreOf(id) {
  const key = PANELS.table.content.keys[0];
  const found = PANELS.table.content.rows.flatMap((row) => row.runs).find((run) => run.run === Number(id));
  return found ? found.scores[key] : null;
}

// Attributes of what is pressed by mouse or key.
function pressed(handler) {
  return { tabindex: 0, click: handler, keydown: (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    handler();
  } };
}

function runOptions(ids) { return RUNS.filter((run) => ids.has(String(run.id))).map((run) => [run.id, run.label]); }

function sign(value, digits) {
  if (value === null) return element('span', { class: 'change' }, '–');
  const text = `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(digits)}`;
  return element('span', { class: `change ${value > 0.005 ? 'better' : value < -0.005 ? 'worse' : ''}` }, text);
}

// Sorting by a heading: [key, -1 or 1]; a second click turns it round. Missing values come last.
function sorter(key, state, change) {
  return () => change(state[0] === key ? [key, -state[1]] : [key, key === 'name' ? 1 : -1]);
}

function compare(a, b, direction) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  return direction * (typeof a === 'string' ? a.localeCompare(b) : a - b);
}

function ariaSort(key, state) { return state[0] !== key ? null : state[1] > 0 ? 'ascending' : 'descending'; }

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

// A Plotly figure in the colours of the page.
function plot(node, data, layout) {
  const axis = { gridcolor: colour('--line'), zerolinecolor: colour('--line'), linecolor: colour('--line'), automargin: true };
  const axes = Object.fromEntries(['xaxis', 'yaxis'].map((name) => [name, { ...axis, ...(layout[name] || {}) }]));
  const shapes = (layout.shapes || []).map((shape) => ({ ...shape, line: { color: colour('--text'), ...shape.line } }));
  return Plotly.react(node, data, {
    margin: { l: 55, r: 15, t: 15, b: 45 }, hovermode: 'closest', ...layout, ...axes, shapes,
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { color: colour('--text'), size: 12 },
    hoverlabel: { namelength: -1 },
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: colour('--soft'), activecolor: colour('--accent') },
  }, { responsive: true, displaylogo: false, displayModeBar: true, modeBarButtonsToRemove: ['lasso2d', 'select2d'] });
}

function lineOf(run) { return { color: run.colour, dash: DASHES[run.place % DASHES.length], width: 1.8 }; }

function drawSwitches() {
  const chips = METHODS.filter((method) => runsOf(method).some(matches)).map((method) => {
    const runs = runsOf(method);
    const turn = (ids, on) => { for (const id of ids) on ? hidden.delete(id) : hidden.add(id); redraw(); };
    const on = runs.some((run) => !hidden.has(run.id));
    const seeds = runs.length < 2 ? [] : runs.map((run) => element('button', {
      type: 'button', class: 'seed', title: run.folder, 'aria-pressed': String(!hidden.has(run.id)),
      click: () => turn([run.id], hidden.has(run.id)) }, run.seed === null ? String(run.place) : `s${run.seed}`));
    return element('span', { class: 'chip' }, element('button', {
      type: 'button', title: method, 'aria-pressed': String(on), click: () => turn(runs.map((run) => run.id), !on),
    }, dot(runs[0].colour), runs[0].method_label), ...seeds);
  });
  document.getElementById('chips').replaceChildren(...chips);
}
