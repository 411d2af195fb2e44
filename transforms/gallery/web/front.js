/* The Pareto front of two quantities: the runs than which no other is better in one and at least as good in the other. */

/** @typedef {"min" | "max"} Better */

/**
 * Places by rising number, equal ones by rising second number.
 *
 * @param {Float64Array} first
 * @param {Float64Array} second
 */
export function orderBy(first, second) {
  const places = Uint32Array.from(first, (_, place) => place);
  return places.sort((a, b) => first[a] - first[b] || second[a] - second[b] || a - b);
}

/**
 * The places on the front, the best by x first; of equal points all.
 *
 * @param {Float64Array} xs
 * @param {Float64Array} ys
 * @param {Uint32Array} byX the places by rising x
 * @param {Better} betterX
 * @param {Better} betterY
 */
export function paretoFront(xs, ys, byX, betterX, betterY) {
  const order = betterX === "min" ? byX : byX.slice().reverse();
  const sign = betterY === "min" ? 1 : -1;
  const front = [];
  let lowest = Infinity;
  for (let from = 0, to = 0; from < order.length; from = to) {
    let best = Infinity;
    while (to < order.length && xs[order[to]] === xs[order[from]]) best = Math.min(best, sign * ys[order[to++]]);
    if (best >= lowest) continue;
    lowest = best;
    for (const place of order.subarray(from, to)) if (sign * ys[place] === best) front.push(place);
  }
  return front;
}
