'use strict';
// The switch between light and dark. Without a choice the reader's system decides.
(() => {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const stored = () => { try { return localStorage.getItem('exp-theme'); } catch { return null; } };
  const dark = () => (root.dataset.theme || (system.matches ? 'dark' : 'light')) === 'dark';
  const show = () => {
    for (const button of document.querySelectorAll('[data-theme-toggle]')) {
      button.textContent = dark() ? 'Light mode' : 'Dark mode';
    }
    document.dispatchEvent(new Event('theme'));
  };
  const choice = stored();
  if (choice === 'dark' || choice === 'light') root.dataset.theme = choice;
  for (const button of document.querySelectorAll('[data-theme-toggle]')) {
    button.addEventListener('click', () => {
      root.dataset.theme = dark() ? 'light' : 'dark';
      try { localStorage.setItem('exp-theme', root.dataset.theme); } catch { /* a file may have no storage */ }
      show();
    });
  }
  system.addEventListener('change', show);
  show();
})();
