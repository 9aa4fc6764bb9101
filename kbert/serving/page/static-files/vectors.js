// Vectors of texts.

/** The cosine of the angle between two vectors; 0 if one of them is zero. */
export function cosine(one, other) {
  let product = 0;
  let first = 0;
  let second = 0;
  for (let place = 0; place < one.length; place++) {
    product += one[place] * other[place];
    first += one[place] ** 2;
    second += other[place] ** 2;
  }
  return first && second ? product / Math.sqrt(first * second) : 0;
}

/** The length of a vector. */
export function norm(vector) {
  return Math.hypot(...vector);
}
