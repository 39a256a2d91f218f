import fc from 'fast-check';

/** Every run draws the same samples, so that a red run is about the change. SEED=NUMBER draws others, to look for more. */
fc.configureGlobal({ seed: Number(process.env['SEED'] ?? 20_261_124) });
