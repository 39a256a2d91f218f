// the explorer asks from the browser, so that a slow answer can be seen and given up
export const csr = true;
