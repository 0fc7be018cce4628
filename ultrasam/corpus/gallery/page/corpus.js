// The gallery of a corpus.
'use strict';

(() => {
  const { el, count } = Gallery;
  const index = Gallery.value('index', 'index');
  if (!index) {
    Gallery.fail(new Error('data/index.js cannot be loaded'));
    return;
  }
  const datasets = new Map(index.datasets.map((one) => [one.name, one]));
  const items = [];
  const loaded = new Set();
  let gallery = null;

  const sum = (counts) => Object.values(counts).reduce((total, number) => total + number, 0);
  const kindsOf = (item) => item.objects.map(([place]) => datasets.get(item.dataset).categories[place]);

  function take(dataset, records) {
    for (const record of records) {
      record.dataset = dataset.name;
      record.words = [record.subject, record.file, record.source].join('\n').toLowerCase();
      items.push(record);
    }
    loaded.add(dataset.name);
  }

  const filters = [
    { key: 'dataset', label: 'Data set', values: (item) => [item.dataset], order: () => [...datasets.keys()],
      keep: true, before: (name) => (loaded.has(name) ? 0 : sum(datasets.get(name)?.shown ?? {})) },
    { key: 'organ', label: 'Organ',
      values: (item) => (datasets.get(item.dataset).organs.length ? datasets.get(item.dataset).organs : ['not stated']) },
    { key: 'split', label: 'Split', values: (item) => [item.part], order: () => ['train', 'val', 'test', 'unsplit'] },
    { key: 'category', label: 'Category', values: kindsOf },
    { key: 'size', label: 'Longer side of the image', values: (item) => [index.sides[item.side]],
      order: () => index.sides },
    { key: 'objects', label: 'Size of an object', order: () => [...index.areas, 'no object'],
      values: (item) => (item.objects.length ? item.objects.map(([, , kind]) => index.areas[kind]) : ['no object']) },
    { key: 'text', label: 'Subject or file name', hint: 'part of it',
      test: (item, text) => item.words.includes(text.toLowerCase()) },
  ];

  function described(item) {
    const tally = new Map();
    for (const name of kindsOf(item)) tally.set(name, (tally.get(name) || 0) + 1);
    return [...tally];
  }

  function pictureOf(item, { isLarge = false } = {}) {
    const dataset = datasets.get(item.dataset);
    const found = described(item).map(([name, number]) => `${number} ${name}`).join(', ') || 'no object';
    const thumbs = Gallery.address('thumbs', dataset.folder, '');
    const large = index.has_views ? `${thumbs}${item.thumb}.view.jpg`
      : dataset.address + Gallery.address(item.file);
    const thumb = `${thumbs}${item.thumb}.jpg`;
    return {
      size: item.size,
      fault: item.fault,
      alt: `${item.dataset}, ${item.file}: ${found}`,
      sources: isLarge ? [large, thumb] : [thumb],
      shapes: async () => {
        const { paths } = await shapesOf(item);
        return item.objects.map(([place], number) => ({ path: paths[number], colour: View.colour(place) }));
      },
    };
  }

  async function shapesOf(item) {
    const [script, place] = item.shapes;
    const list = await Gallery.load(Gallery.address('shapes', datasets.get(item.dataset).folder), 'shapes', script);
    return list[place];
  }

  function legend(item) {
    const { categories } = datasets.get(item.dataset);
    const chips = described(item).map(([name, number]) => el('span', { class: 'chip' },
      View.swatch(categories.indexOf(name)), number > 1 ? `${name} × ${number}` : name));
    return chips.length ? chips : [el('span', { class: 'chip' }, 'no object')];
  }

  function tile(item, open) {
    return el('button', { type: 'button', class: 'tile', onclick: open },
      View.figure(pictureOf(item)),
      el('span', { class: 'name' }, item.file),
      el('span', { class: 'about' }, `${item.dataset} · ${item.part}`),
      el('span', { class: 'legend' }, legend(item)));
  }

  function objectTable(item) {
    const dataset = datasets.get(item.dataset);
    const pixels = item.size[0] * item.size[1];
    if (!item.objects.length) return el('p', {}, 'This image has no object.');
    const notes = item.objects.map(([, , kind]) => el('span', {}, index.areas[kind]));
    shapesOf(item).then(({ faults }) => Object.entries(faults).forEach(([number, fault]) => {
      notes[number].append(` (not drawn: ${fault})`);
    })).catch(Gallery.fail);
    const rows = item.objects.map(([place, area], number) => [
      [View.swatch(place), dataset.categories[place]], count(area),
      `${(100 * area / pixels).toPrecision(2)} %`, notes[number]]);
    return View.table(['Category', 'Area, px', 'Share', 'Size'], rows, [1, 2]);
  }

  function show(item) {
    const dataset = datasets.get(item.dataset);
    return {
      title: item.file,
      pictures: [['', View.figure(pictureOf(item, { isLarge: true }), { isLarge: true })]],
      details: [
        objectTable(item),
        View.facts([
          ['Data set', Gallery.outside(dataset.homepage, dataset.title || dataset.name)],
          ['Licence', dataset.licence], ['Organ', dataset.organs.join(', ')],
          ['Split', item.part], ['Official split', item.official], ['Subject', item.subject],
          ['Source file', item.source], ['Frame', item.frame], ['Label', item.label],
          ['Size', `${item.size[0]} × ${item.size[1]} px`], ['Fault', item.fault],
        ]),
      ],
    };
  }

  function datasetTable() {
    const rows = index.datasets.map((one) => [
      el('a', { href: `#${new URLSearchParams({ dataset: one.name })}` }, one.name),
      Gallery.outside(one.homepage, one.title || one.name), one.licence,
      `${count(sum(one.shown))} of ${count(sum(one.images))}`, one.citation]);
    document.getElementById('licences').append(
      View.table(['Name', 'Title', 'Licence', 'Images shown', 'Citation'], rows, [3]));
  }

  /** Data of the chosen data set, or of all; the page is drawn again as they arrive. */
  function changed(state) {
    const name = state.get('dataset');
    const wanted = datasets.has(name) ? [datasets.get(name)] : index.datasets;
    const missing = wanted.filter((one) => !loaded.has(one.name) && !one.asked);
    missing.forEach((one) => { one.asked = true; });
    const note = document.getElementById('licence');
    note.textContent = datasets.has(name) ? `Licence of ${name}: ${datasets.get(name).licence}` : '';
    if (!missing.length) return;
    document.body.setAttribute('aria-busy', 'true');
    Promise.allSettled(missing.map((one) => Gallery.load('data', 'data', one.folder))).then((results) => {
      results.forEach((result, number) => {
        if (result.status === 'fulfilled') take(missing[number], result.value);
        else Gallery.fail(result.reason);
      });
      const order = new Map(index.datasets.map((one, place) => [one.name, place]));
      items.sort((a, b) => order.get(a.dataset) - order.get(b.dataset));
      document.body.removeAttribute('aria-busy');
      gallery.render();
    });
  }

  datasetTable();
  gallery = Gallery.start({
    items: () => items,
    filters,
    tile,
    show,
    changed,
    id: (item) => `${item.dataset}/${item.file}`,
    status: (passed, all) => (loaded.size ? `${count(passed.length)} of ${count(all.length)} images` : 'loading'),
  });
})();
