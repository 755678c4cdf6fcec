/* The sampler, as in dino/sampler.py, few_steps.py and steering.py. Images are Float32Arrays of any shape. */

Dino.define(function sampler(Dino) {
  "use strict";
  const FEW = 10; // `dino.few_steps.FEW`

  /* Return a + weight (b - a) for each number; every formula of the course is one of these. */
  Dino.lerp = (a, b, weight) => a.map((value, k) => value + weight * (b[k] - value));

  /* Mix noise into images: `dino.noise.mix`. */
  Dino.mix = (clean, noise, noiseLevel) => Dino.lerp(clean, noise, noiseLevel);

  Dino.extrapolate = (denoised, previous, stepSize) =>
    previous === null ? denoised : Dino.lerp(previous, denoised, stepSize);

  Dino.remix = (noisy, guess, noiseLevel, nextLevel) => Dino.lerp(guess, noisy, nextLevel / noiseLevel);

  Dino.guide = (unconditional, conditional, guidance) => Dino.lerp(unconditional, conditional, guidance);

  /* Return nSteps + 1 noise levels from 1 down to 0, evenly spaced. */
  Dino.noiseSchedule = (nSteps) => Array.from({ length: nSteps + 1 }, (_, k) => 1 - k / nSteps);

  /* Return noise levels from 1 down to 0 that lie close together near 1. */
  Dino.warpedSchedule = (nSteps, warp = 0.5) =>
    Dino.noiseSchedule(nSteps).map((even) => (even * (1 + warp)) / (even + warp));

  /* Return the step size of each step with which `extrapolate` is exact for a prediction that changes linearly. */
  Dino.stepSizes = function stepSizes(schedule) {
    return schedule.slice(0, -1).map((level, k) => {
      if (k === 0) return 1;
      const kept = schedule[k + 1] / level;
      const logarithm = kept === 0 ? 0 : kept * Math.log(kept);
      return 1 + ((level / (schedule[k - 1] - level)) * (1 - kept + logarithm)) / (1 - kept);
    });
  };

  /* Return step sizes with 1 as the last one: the image is the last prediction as it is. */
  Dino.eulerAtFinal = (stepSizes) => [...stepSizes.slice(0, -1), 1];

  /* Return {schedule, stepSize} with one step size for each step: `dino.trainer.batched_sampling.Steps.of`.

     stepSize: one for all steps. By default 2 for even steps. For warped ones the exact sizes, and 1 for the last step. */
  Dino.stepsOf = function stepsOf({ steps = null, spacing = "warped", stepSize = null } = {}) {
    if (spacing !== "even" && spacing !== "warped") throw new Dino.Problem(`Steps are warped or even, not ${spacing}.`);
    const nSteps = steps ?? (spacing === "even" ? 100 : FEW);
    if (!Number.isInteger(nSteps) || nSteps < 1) throw new Dino.Problem(`Sampling takes at least 1 step, not ${steps}.`);
    const schedule = spacing === "even" ? Dino.noiseSchedule(nSteps) : Dino.warpedSchedule(nSteps);
    const sizes = spacing === "even" ? schedule.slice(1).fill(2) : Dino.eulerAtFinal(Dino.stepSizes(schedule));
    return { schedule, stepSize: stepSize === null ? sizes : sizes.fill(stepSize) };
  };

  /* Return a denoiser that draws only what is missing from an image: `dino.steering.keeping`.

     denoiser: an async function of (noisy, noiseLevel). known: images of the same shape. mask: 1 or true where they are
     known. */
  Dino.keeping = (denoiser, known, mask) => async (noisy, noiseLevel) =>
    (await denoiser(noisy, noiseLevel)).map((value, k) => (mask[k] ? known[k] : value));

  /* Take noisy images down the levels of a schedule. Yields {noiseLevel, noisy, denoised} after each step. */
  Dino.denoise = async function* denoise(denoiser, noisy, schedule, stepSize) {
    let previous = null;
    for (let k = 0; k + 1 < schedule.length; k++) {
      const denoised = await denoiser(noisy, schedule[k]);
      const guess = Dino.extrapolate(denoised, previous, stepSize[k]);
      noisy = Dino.remix(noisy, guess, schedule[k], schedule[k + 1]);
      previous = denoised;
      yield { noiseLevel: schedule[k + 1], noisy, denoised };
    }
  };
});
