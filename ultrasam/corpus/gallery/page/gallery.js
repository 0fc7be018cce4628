// What both galleries share: data that arrives in scripts, filters, pages of tiles, and the state in the address.
'use strict';

const Gallery = (() => {
  const received = new Map();
  const loading = new Map();

  // ---- data ---------------------------------------------------------------------------------------------------

  function receive(kind, name, value) {
    received.set(`${kind}/${name}`, value);
  }

  function value(kind, name) {
    return received.get(`${kind}/${name}`);
  }

  /** Load the script at folder/name.js once; resolves to the value that it hands over. */
  function load(folder, kind, name) {
    const key = `${kind}/${name}`;
    if (received.has(key)) return Promise.resolve(received.get(key));
    if (!loading.has(key)) {
      loading.set(key, new Promise((resolve, reject) => {
        const script = document.createElement('script');
        script.src = `${folder}/${encodeURIComponent(name)}.js`;
        script.onload = () => (received.has(key)
          ? resolve(received.get(key))
          : reject(new Error(`${script.getAttribute('src')} is damaged`)));
        script.onerror = () => reject(new Error(`${script.getAttribute('src')} cannot be loaded`));
        document.head.append(script);
      }));
    }
    return loading.get(key);
  }

  // ---- elements: text from the data only ever becomes text -----------------------------------------------------

  function el(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, entry] of Object.entries(properties)) {
      if (entry === null || entry === undefined || entry === false) continue;
      if (key.startsWith('on')) node.addEventListener(key.slice(2), entry);
      else if (key === 'class') node.className = entry;
      else node.setAttribute(key, entry === true ? '' : String(entry));
    }
    node.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
    return node;
  }

  /** A path of names as an address; what the names hold can neither leave their place nor end it. */
  function address(...names) {
    return names.map((name) => name.split('/').map(encodeURIComponent).join('/')).join('/');
  }

  /** A link to a page of others, or plain text where it is no web address. */
  function outside(link, text) {
    const isWeb = typeof link === 'string' && /^https?:\/\//i.test(link);
    return isWeb ? el('a', { href: link, rel: 'noopener noreferrer' }, text) : document.createTextNode(text);
  }

  const count = (number) => Number(number).toLocaleString('en');

  // ---- state in the address ------------------------------------------------------------------------------------

  function readState() {
    return new Map(new URLSearchParams(location.hash.slice(1)));
  }

  function writeState(state) {
    const query = new URLSearchParams([...state].filter(([, entry]) => entry !== '')).toString();
    // '#' alone keeps the browser from scrolling to the top and from loading the page again
    history.replaceState(null, '', `#${query}`);
  }

  // ---- filters --------------------------------------------------------------------------------------------------

  /** Items that pass all filters, and for every option of a choice how many would pass with it. */
  function filtered(items, filters, state) {
    const active = filters.filter((filter) => state.get(filter.key));
    const tallies = new Map(filters.filter((one) => one.values).map((one) => [one.key, new Map()]));
    const passed = [];
    for (const item of items) {
      let misses = 0;
      let missed = null;
      for (const filter of active) {
        if (!passes(item, filter, state.get(filter.key))) {
          misses += 1;
          missed = filter.key;
          if (misses > 1) break;
        }
      }
      if (misses > 1) continue;
      if (!misses) passed.push(item);
      for (const filter of filters) {
        if (!filter.values || (misses && filter.key !== missed)) continue;
        const tally = tallies.get(filter.key);
        for (const option of new Set(filter.values(item))) tally.set(option, (tally.get(option) || 0) + 1);
      }
    }
    return { passed, tallies };
  }

  function passes(item, filter, wanted) {
    return filter.values ? filter.values(item).includes(wanted) : filter.test(item, wanted);
  }

  function controlOf(filter, change) {
    const id = `filter-${filter.key}`;
    const properties = { id, name: filter.key };
    const control = filter.values || filter.options
      ? el('select', properties)
      : el('input', { ...properties, type: filter.type || 'search', placeholder: filter.hint,
        step: filter.step, min: filter.min, max: filter.max, autocomplete: 'off' });
    control.addEventListener(control.tagName === 'SELECT' ? 'change' : 'input', () => change(filter, control.value));
    return { filter, control, node: el('div', { class: 'field' }, el('label', { for: id }, filter.label), control) };
  }

  function fillControl({ filter, control }, state, tallies) {
    const wanted = state.get(filter.key) || '';
    if (control.tagName !== 'SELECT') {
      if (document.activeElement !== control) control.value = wanted;
      return;
    }
    const options = filter.options
      ? filter.options.map(([key, text]) => [key, text])
      : optionsOf(filter, tallies.get(filter.key), wanted);
    control.replaceChildren(...options.map(([key, text]) => el('option', { value: key }, text)));
    control.value = wanted;
  }

  function optionsOf(filter, tally, wanted) {
    const known = filter.order ? filter.order() : [...tally.keys()].sort((a, b) => a.localeCompare(b));
    const shown = known.filter((key) => tally.get(key) || key === wanted || filter.keep);
    if (wanted && !shown.includes(wanted)) shown.push(wanted);
    return [['', filter.all || 'all'], ...shown.map((key) => {
      const number = tally.get(key) ?? (filter.before ? filter.before(key) : 0);
      return [key, `${filter.text ? filter.text(key) : key} (${count(number)})`];
    })];
  }

  // ---- the page -------------------------------------------------------------------------------------------------

  /**
   * Run a gallery. `page` has items(), filters, tile(item), id(item), show(item), and may have sorts, summary(items),
   * and changed(state), which is called before anything is shown.
   */
  function start(page) {
    const state = readState();
    const grid = document.getElementById('grid');
    const controls = page.filters.map((filter) => controlOf(filter, (one, entry) => set(one.key, entry)));
    let passed = [];
    document.getElementById('filters').append(...controls.map((one) => one.node));
    document.getElementById('reset').addEventListener('click', () => {
      [...state.keys()].forEach((key) => state.delete(key));
      controls.forEach(({ control }) => { control.value = ''; });
      render();
    });
    const masks = document.getElementById('masks');
    masks.addEventListener('change', () => {
      state.set('masks', masks.checked ? '' : 'off');
      writeState(state);
      showMasks();
    });
    const perPage = document.getElementById('per-page');
    perPage.addEventListener('change', () => set('show', perPage.value));
    const size = () => Number([...perPage.options].some((one) => one.value === state.get('show'))
      ? state.get('show') : perPage.value);
    const last = () => Math.max(1, Math.ceil(passed.length / size()));
    const current = () => Math.min(Math.max(1, Number.parseInt(state.get('page'), 10) || 1), last());

    function set(key, entry) {
      state.set(key, entry);
      state.delete('page');
      render();
    }

    function showMasks() {
      masks.checked = state.get('masks') !== 'off';
      document.body.classList.toggle('without-masks', !masks.checked);
      View.showMasks(masks.checked);
    }

    function turn(number) {
      const wanted = Math.min(Math.max(1, number), last());
      if (wanted === current()) return;
      state.set('page', wanted === 1 ? '' : String(wanted));
      render();
      document.getElementById('status').scrollIntoView({ block: 'start' });
    }

    function render() {
      writeState(state);
      page.changed?.(state);
      showMasks();
      const found = filtered(page.items(), page.filters, state);
      passed = found.passed;
      const sort = page.sorts?.find((one) => one.key === state.get('sort')) || page.sorts?.[0];
      if (sort) passed.sort(sort.compare);
      controls.forEach((one) => fillControl(one, state, found.tallies));
      perPage.value = String(size());
      const first = (current() - 1) * size();
      const shown = passed.slice(first, first + size());
      grid.replaceChildren(...shown.map((item) => el('li', {}, page.tile(item, () => open(item)))));
      document.getElementById('status').textContent = page.status(passed, page.items());
      document.getElementById('place').textContent = `page ${count(current())} of ${count(last())}`;
      document.getElementById('empty').hidden = passed.length > 0;
      document.getElementById('previous').disabled = current() === 1;
      document.getElementById('next').disabled = current() === last();
      const viewed = state.get('image');
      const item = viewed && passed.find((one) => page.id(one) === viewed);
      if (item) View.open(page.show(item), stepper(item));
      else View.close();
    }

    function open(item) {
      state.set('image', page.id(item));
      const place = passed.indexOf(item);
      const number = Math.floor(place / size()) + 1;
      state.set('page', number === 1 ? '' : String(number));
      render();
    }

    function stepper(item) {
      const place = passed.indexOf(item);
      return {
        place: `${count(place + 1)} of ${count(passed.length)}`,
        previous: place > 0 ? () => open(passed[place - 1]) : null,
        next: place + 1 < passed.length ? () => open(passed[place + 1]) : null,
        closed: () => { if (state.get('image')) { state.delete('image'); writeState(state); } },
      };
    }

    document.getElementById('previous').addEventListener('click', () => turn(current() - 1));
    document.getElementById('next').addEventListener('click', () => turn(current() + 1));
    window.addEventListener('hashchange', () => {
      [...state.keys()].forEach((key) => state.delete(key));
      readState().forEach((entry, key) => state.set(key, entry));
      render();
    });
    document.addEventListener('keydown', (event) => {
      const isTyping = event.target.closest?.('input:not([type=checkbox]), select, textarea');
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'm') {
        masks.click();
        return;
      }
      const moves = View.isOpen()
        ? { ArrowLeft: () => View.step('previous'), ArrowRight: () => View.step('next') }
        : { ArrowLeft: () => turn(current() - 1), ArrowRight: () => turn(current() + 1),
          Home: () => turn(1), End: () => turn(last()) };
      if (!moves[event.key]) return;
      event.preventDefault();
      moves[event.key]();
    });
    render();
    return { render, state };
  }

  function fail(error) {
    const box = document.getElementById('trouble');
    box.hidden = false;
    box.append(el('p', {}, `${error.message}: make the gallery again.`));
  }

  return { receive, value, load, el, address, outside, count, readState, start, fail, filtered };
})();
