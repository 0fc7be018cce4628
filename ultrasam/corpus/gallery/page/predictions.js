// The gallery of predictions beside the truth.
'use strict';

(() => {
  const { el, count } = Gallery;
  const index = Gallery.value('index', 'index');
  if (!index) {
    Gallery.fail(new Error('data/index.js cannot be loaded'));
    return;
  }
  const items = [];
  let gallery = null;

  const figureOf = (value) => (value === null ? '–' : value.toFixed(3));
  const isWrong = (item, one) => one.match >= 0 && item.predictions[one.match].category !== one.category;
  const STATES = [
    ['missed', 'an object is missed', (item) => item.missed > 0],
    ['unmatched', 'a prediction is unmatched', (item) => item.unmatched > 0],
    ['none', 'no prediction at all', (item) => !item.predictions.length],
    ['empty', 'no object in the truth', (item) => !item.truths.length],
    ['category', 'another category', (item) => item.truths.some((one) => isWrong(item, one))],
    ['all-matched', 'all are matched', (item) => !item.missed && !item.unmatched],
  ];
  const scores = (item) => item.predictions.map((one) => one.score).filter((score) => score !== null);
  const lowest = (values) => (values.length ? Math.min(...values) : null);
  // images without the figure come last, whichever way they are sorted
  const by = (key, sign = 1) => (a, b) => {
    const [first, second] = [key(a), key(b)];
    if (first === null || second === null) return (first === null) - (second === null) || a.order - b.order;
    return sign * (first - second) || a.order - b.order;
  };
  const sorts = [
    { key: '', label: 'worst object first', compare: by((item) => item.worst) },
    { key: 'best', label: 'best first', compare: by((item) => item.worst, -1) },
    { key: 'mean', label: 'lowest mean Dice first', compare: by((item) => item.mean) },
    { key: 'score', label: 'lowest score first', compare: by((item) => lowest(scores(item))) },
    { key: 'sure', label: 'highest score first', compare: by((item) => lowest(scores(item)), -1) },
    { key: 'file', label: 'as in the file', compare: (a, b) => a.order - b.order },
  ];

  const filters = [
    { key: 'sort', label: 'Order', options: sorts.map((one) => [one.key, one.label]), test: () => true },
    { key: 'from', label: 'Worst Dice from', type: 'number', step: '0.05', min: '0', max: '1', hint: '0',
      test: (item, text) => item.worst !== null && item.worst >= Number(text) },
    { key: 'to', label: 'Worst Dice to', type: 'number', step: '0.05', min: '0', max: '1', hint: '1',
      test: (item, text) => item.worst !== null && item.worst <= Number(text) },
    { key: 'state', label: 'With', order: () => STATES.map(([key]) => key),
      values: (item) => STATES.filter(([, , test]) => test(item)).map(([key]) => key),
      text: (key) => STATES.find(([name]) => name === key)?.[1] ?? key },
    { key: 'category', label: 'Category in the truth', values: (item) => item.truths.map((one) => one.category) },
    { key: 'text', label: 'Subject or file name', hint: 'part of it',
      test: (item, text) => item.words.includes(text.toLowerCase()) },
  ];

  // ---- colours: a pair has one; what is alone has its own ---------------------------------------------------------

  function colourOf(item, kind, number) {
    if (kind === 'truths') return View.colour(number);
    const match = item.predictions[number].match;
    return View.colour(match >= 0 ? match : item.truths.length + number);
  }

  function swatchOf(item, kind, number) {
    const node = View.swatch(0);
    node.style.background = colourOf(item, kind, number);
    return node;
  }

  async function marksOf(item, kind) {
    const [script, place] = item.shapes;
    const { paths } = (await Gallery.load(Gallery.address('shapes', index.folder), 'shapes', script))[place];
    const truths = item.truths.map((one, number) => ({ path: paths[number], colour: colourOf(item, 'truths', number) }));
    if (kind === 'truths') return truths;
    const dashed = truths.map((mark) => ({ ...mark, colour: '#ffffff', dashed: true }));
    return [...dashed, ...item.predictions.map((one, number) => (
      { path: paths[item.truths.length + number], colour: colourOf(item, 'predictions', number) }))];
  }

  function pictureOf(item, kind, { isLarge = false } = {}) {
    const thumbs = Gallery.address('thumbs', index.folder, '');
    const large = index.has_views ? `${thumbs}${item.thumb}.view.jpg` : index.address + Gallery.address(item.file);
    const thumb = `${thumbs}${item.thumb}.jpg`;
    const found = kind === 'truths' ? `${item.truths.length} objects` : `${item.predictions.length} predictions`;
    const picture = {
      size: item.size,
      fault: item.fault,
      alt: `${item.file}, ${kind === 'truths' ? 'truth' : 'prediction'}: ${found}`,
      sources: isLarge ? [large, thumb] : [thumb],
      shapes: () => marksOf(item, kind),
    };
    return View.figure(picture, { isLarge });
  }

  // ---- words --------------------------------------------------------------------------------------------------------

  function verdict(item) {
    const words = [];
    if (!item.truths.length) words.push('no object in the truth');
    if (!item.predictions.length) words.push('no prediction');
    else if (item.missed) words.push(`${item.missed} missed`);
    if (item.unmatched) words.push(`${item.unmatched} unmatched`);
    return words.join(', ');
  }

  function tile(item, open) {
    const dices = item.truths.map((one, number) => el('span', { class: one.match < 0 ? 'chip bad' : 'chip' },
      swatchOf(item, 'truths', number), one.dice === null ? 'no mask' : figureOf(one.dice)));
    return el('button', { type: 'button', class: 'tile', onclick: open },
      el('span', { class: 'pair' }, pictureOf(item, 'truths'), pictureOf(item, 'predictions')),
      el('span', { class: 'name' }, item.file),
      el('span', { class: 'legend' }, el('span', { class: 'about' }, 'Dice'), dices.length ? dices : '–'),
      el('span', { class: 'about' }, verdict(item)));
  }

  function objectTable(item) {
    const scoreOf = (one) => (one ? figureOf(one.score) : '–');
    const rows = item.truths.map((one, number) => {
      const found = item.predictions[one.match];
      return [swatchOf(item, 'truths', number), one.category, count(one.area),
        found ? found.category : 'missed', found ? count(found.area) : '–', figureOf(one.dice), figureOf(one.iou),
        scoreOf(found)];
    });
    item.predictions.forEach((one, number) => {
      if (one.match >= 0) return;
      rows.push([swatchOf(item, 'predictions', number), 'none: unmatched', '–', one.category, count(one.area), '–', '–',
        scoreOf(one)]);
    });
    if (!rows.length) return el('p', {}, 'This image has neither an object nor a prediction.');
    const head = ['', 'Truth', 'Area, px', 'Prediction', 'Area, px', 'Dice', 'IoU', 'Score'];
    return View.table(head, rows, [2, 4, 5, 6, 7]);
  }

  function show(item) {
    return {
      title: item.file,
      pictures: [
        ['Truth', pictureOf(item, 'truths', { isLarge: true })],
        ['Prediction, truth dashed', pictureOf(item, 'predictions', { isLarge: true })],
      ],
      details: [
        objectTable(item),
        View.facts([
          ['Worst Dice', figureOf(item.worst)], ['Mean Dice', figureOf(item.mean)], ['Note', verdict(item)],
          ['Subject', item.subject], ['Size', `${item.size[0]} × ${item.size[1]} px`],
          ['Licence', index.licence], ['Fault', item.fault], ['Masks', item.masks],
        ]),
      ],
    };
  }

  function summary() {
    const { objects, missed, unmatched, dice, strays, low } = index.totals;
    const words = [`${count(objects)} objects, mean Dice ${figureOf(dice)}`, `${count(missed)} missed`,
      `${count(unmatched)} unmatched predictions`];
    if (low) words.push(`${count(low)} predictions left out, their score is below ${index.min_score}`);
    if (strays) words.push(`${count(strays)} predictions left out, they are of no image of the truth`);
    document.getElementById('summary').textContent = `${words.join('; ')}.`;
    document.getElementById('sources').append(View.facts([
      ['Truth', index.annotations], ['Predictions', index.predictions], ['Licence', index.licence]]));
  }

  summary();
  gallery = Gallery.start({
    items: () => items,
    filters,
    sorts,
    tile,
    show,
    id: (item) => item.file,
    status: (passed, all) => `${count(passed.length)} of ${count(all.length)} images`,
  });
  Promise.allSettled(index.parts.map((name) => Gallery.load('data', 'data', name))).then((results) => {
    for (const result of results) {
      if (result.status === 'rejected') Gallery.fail(result.reason);
      else items.push(...result.value);
    }
    items.forEach((item, order) => {
      item.order = order;
      item.words = `${item.subject}\n${item.file}`.toLowerCase();
    });
    gallery.render();
  });
})();
