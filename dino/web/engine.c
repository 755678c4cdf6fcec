/* The layers of the denoiser (dino/denoiser.py) for WebAssembly with SIMD.

   network.js calls these functions in the order of `UNet.forward`. Build: python -m scripts.build_engine

   An image is (H + 2, W + 2, C) here: channels last, with a border of zeros one pixel wide, so that a 3x3 convolution
   needs no special case at the edges. An odd H or W has one more row or column of zeros, because the convolution works
   on tiles of 2x2 pixels. C is rounded up to a multiple of 8, and the channels that this adds stay zero.

   The convolution is Winograd's (Lavin and Gray 2015, arXiv:1509.09308): 2x2 pixels of the output take 16 products for
   each pair of channels instead of 36. Its three steps:

     1. each 4x4 tile of the input becomes 16 sums and differences of its pixels, for each channel;
     2. at each of these 16 places, a matrix product over the channels;
     3. sums and differences of the 16 results are the 2x2 pixels.

   The weights go through a transform of their own, once, when they are loaded. */

typedef float f4 __attribute__((vector_size(16)));

#define EXPORT(name) __attribute__((export_name(#name))) name
#define BLOCK 8  /* channels of the output that are computed together: two vectors */
#define TILES 32 /* tiles that go through the three steps together, so that they stay in the processor's cache */

static inline f4 load(const float *from) { return *(const f4 *)from; }
static inline void store(float *to, f4 value) { *(f4 *)to = value; }
static inline f4 splat(float value) { return (f4){value, value, value, value}; }
static inline f4 larger(f4 a, f4 b) { return __builtin_wasm_pmax_f32x4(a, b); } /* one instruction, unlike max */
static inline int even(int side) { return side + (side & 1); }
static inline int row_of(int width, int channels) { return (even(width) + 2) * channels; }


/* ---- memory: it grows at the end, and network.js gives it back from the end ------------------------------------- */

extern unsigned char __heap_base;
static unsigned long end_of_used;

/* Return the address of `floats` zeros, aligned for vectors, or 0 if there is no memory left. */
float *EXPORT(allocate)(int floats) {
    if (!end_of_used) end_of_used = ((unsigned long)&__heap_base + 63) & ~63ul;
    unsigned long start = end_of_used, end = start + (((unsigned long)floats * 4 + 63) & ~63ul);
    unsigned long pages = (end + 65535) / 65536, present = __builtin_wasm_memory_size(0);
    if (pages > present && __builtin_wasm_memory_grow(0, pages - present) == -1ul) return 0;
    end_of_used = end;
    for (f4 *at = (f4 *)start; at < (f4 *)end; at++) *at = splat(0);
    return (float *)start;
}

/* Give back everything that was allocated at this address and later. */
void EXPORT(release)(float *address) { end_of_used = (unsigned long)address; }

/* Return the number of floats of an image, with its border. */
int EXPORT(image_floats)(int height, int width, int channels) { return (even(height) + 2) * row_of(width, channels); }


/* ---- 3x3 convolution ------------------------------------------------------------------------------------------- */

/* Transform the weights of a convolution, (outputs, inputs, 3, 3) as PyTorch stores them.
   `to` is (16, channels_out / 8, channels_in, 8), zero wherever there is no such channel. */
void EXPORT(transform_weights)(const float *weights, int outputs, int inputs, float *to, int channels_in, int channels_out) {
    for (int o = 0; o < outputs; o++) {
        for (int i = 0; i < inputs; i++, weights += 9) {
            float half[4][3], all[4][4]; /* G w, and G w G^T with G = [1 0 0; .5 .5 .5; .5 -.5 .5; 0 0 1] */
            for (int x = 0; x < 3; x++) {
                float a = weights[x], b = weights[3 + x], c = weights[6 + x];
                half[0][x] = a, half[1][x] = (a + b + c) / 2, half[2][x] = (a - b + c) / 2, half[3][x] = c;
            }
            for (int y = 0; y < 4; y++) {
                float a = half[y][0], b = half[y][1], c = half[y][2];
                all[y][0] = a, all[y][1] = (a + b + c) / 2, all[y][2] = (a - b + c) / 2, all[y][3] = c;
            }
            for (int place = 0; place < 16; place++)
                to[((place * (channels_out / BLOCK) + o / BLOCK) * channels_in + i) * BLOCK + o % BLOCK] =
                    all[place / 4][place % 4];
        }
    }
}

/* Step 1 for one tile: B^T d B with B^T = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]. Place k of the result is at
   `to + k * stride`. */
static inline void transform_tile(const float *from, int row, int channels, float *to, int stride) {
    for (int c = 0; c < channels; c += 4) {
        f4 half[4][4];
        for (int x = 0; x < 4; x++) {
            const float *at = from + x * channels + c;
            f4 a = load(at), b = load(at + row), d = load(at + 2 * row), e = load(at + 3 * row);
            half[0][x] = a - d, half[1][x] = b + d, half[2][x] = d - b, half[3][x] = b - e;
        }
        for (int y = 0; y < 4; y++) {
            f4 a = half[y][0], b = half[y][1], d = half[y][2], e = half[y][3];
            float *at = to + 4 * y * stride + c;
            store(at, a - d), store(at + stride, b + d), store(at + 2 * stride, d - b), store(at + 3 * stride, b - e);
        }
    }
}

/* Step 2 at one place, for 4 tiles and 8 channels of the output, whose sums stay in registers. */
static inline void multiply(const float *tiles, const float *weights, float *to, int channels_in, int channels_out) {
    f4 sums[4][2] = {0};
    for (int i = 0; i < channels_in; i++) {
        f4 first = load(weights + i * BLOCK), second = load(weights + i * BLOCK + 4);
        for (int t = 0; t < 4; t++) {
            f4 value = splat(tiles[t * channels_in + i]);
            sums[t][0] += value * first, sums[t][1] += value * second;
        }
    }
    for (int t = 0; t < 4; t++)
        store(to + t * channels_out, sums[t][0]), store(to + t * channels_out + 4, sums[t][1]);
}

/* Step 3 for one tile: A^T m A with A^T = [1 1 1 0; 0 1 -1 -1]. Adds the bias and what is in `skip`, and applies the
   ReLU. `rows` and `columns` of it are in the image. */
static inline void finish_tile(const float *from, int stride, float *to, const float *skip, const float *bias, int relu,
                               int row, int channels, int rows, int columns) {
    for (int c = 0; c < channels; c += 4) {
        f4 half[2][4], shift = load(bias + c);
        for (int x = 0; x < 4; x++) {
            const float *at = from + x * stride + c;
            f4 a = load(at), b = load(at + 4 * stride), d = load(at + 8 * stride), e = load(at + 12 * stride);
            half[0][x] = a + b + d, half[1][x] = b - d - e;
        }
        for (int y = 0; y < rows; y++) {
            f4 pixels[2] = {half[y][0] + half[y][1] + half[y][2], half[y][1] - half[y][2] - half[y][3]};
            for (int x = 0; x < columns; x++) {
                f4 pixel = pixels[x] + shift;
                int at = y * row + x * channels + c;
                if (skip) pixel += load(skip + at);
                store(to + at, relu ? larger(pixel, splat(0)) : pixel);
            }
        }
    }
}

/* out = conv(in) + bias + skip, with a ReLU if `relu`. `skip` may be 0, or `out` itself. `scratch` holds 16 * TILES * (channels_in +
   channels_out) floats. */
void EXPORT(conv)(const float *in, float *out, const float *weights, const float *bias, const float *skip, int relu,
                  int height, int width, int channels_in, int channels_out, float *scratch) {
    int across = even(width) / 2, n_tiles = even(height) / 2 * across;
    int row_in = row_of(width, channels_in), row_out = row_of(width, channels_out);
    float *tiles = scratch, *products = scratch + 16 * TILES * channels_in;
    for (int start = 0; start < n_tiles; start += TILES) {
        int count = n_tiles - start < TILES ? n_tiles - start : TILES;
        for (int t = 0; t < count; t++) {
            int y = (start + t) / across * 2, x = (start + t) % across * 2;
            transform_tile(in + y * row_in + x * channels_in, row_in, channels_in, tiles + t * channels_in,
                           TILES * channels_in);
        }
        for (int place = 0; place < 16; place++) {
            const float *here = tiles + place * TILES * channels_in;
            float *there = products + place * TILES * channels_out;
            for (int o = 0; o < channels_out; o += BLOCK)
                for (int t = 0; t < count; t += 4)
                    multiply(here + t * channels_in, weights + (place * channels_out + o) * channels_in,
                             there + t * channels_out + o, channels_in, channels_out);
        }
        for (int t = 0; t < count; t++) {
            int y = (start + t) / across * 2, x = (start + t) % across * 2;
            int at = (y + 1) * row_out + (x + 1) * channels_out;
            finish_tile(products + t * channels_out, TILES * channels_out, out + at, skip ? skip + at : 0, bias, relu,
                        row_out, channels_out, y + 1 < height ? 2 : 1, x + 1 < width ? 2 : 1);
        }
    }
}

/* Return the number of floats that `conv` needs as scratch. */
int EXPORT(conv_scratch)(int channels_in, int channels_out) { return 16 * TILES * (channels_in + channels_out); }


/* ---- the other layers ------------------------------------------------------------------------------------------ */

static float dot(const float *a, const float *b, int n) {
    f4 sums = {0};
    for (int i = 0; i < n; i += 4) sums += load(a + i) * load(b + i);
    return sums[0] + sums[1] + sums[2] + sums[3];
}

/* x += Pool's network of the maximum of each channel over the image, in place.
   `widen` is (hidden, channels) with `bias` (hidden), `narrow` is (channels, hidden). `scratch` holds channels + hidden
   floats. */
void EXPORT(pool)(float *x, const float *widen, const float *bias, const float *narrow, int height, int width,
                  int channels, int hidden, float *scratch) {
    float *largest = scratch, *wide = scratch + channels;
    int row = row_of(width, channels);
    x += row + channels; /* the first pixel inside the border */
    for (int c = 0; c < channels; c += 4) store(largest + c, load(x + c));
    for (int y = 0; y < height; y++)
        for (int at = 0; at < width * channels; at += channels)
            for (int c = 0; c < channels; c += 4)
                store(largest + c, larger(load(largest + c), load(x + y * row + at + c)));
    for (int k = 0; k < hidden; k++) {
        float sum = dot(widen + k * channels, largest, channels) + bias[k];
        wide[k] = sum > 0 ? sum : 0;
    }
    for (int c = 0; c < channels; c++) largest[c] = dot(narrow + c * hidden, wide, hidden);
    for (int y = 0; y < height; y++)
        for (int at = 0; at < width * channels; at += channels)
            for (int c = 0; c < channels; c += 4) {
                float *pixel = x + y * row + at + c;
                store(pixel, load(pixel) + load(largest + c));
            }
}

/* out = the mean of each 2x2 pixels of x. `height` and `width` are those of `out`. */
void EXPORT(halve)(const float *x, float *out, int height, int width, int channels) {
    int row = row_of(width, channels), wide = row_of(2 * width, channels);
    for (int y = 0; y < height; y++)
        for (int column = 0; column < width; column++)
            for (int c = 0; c < channels; c += 4) {
                const float *from = x + (2 * y + 1) * wide + (2 * column + 1) * channels + c;
                f4 sum = load(from) + load(from + channels) + load(from + wide) + load(from + wide + channels);
                store(out + (y + 1) * row + (column + 1) * channels + c, sum * splat(0.25f));
            }
}

/* out = x at twice its size, each pixel repeated, + skip. `height` and `width` are those of `out`. */
void EXPORT(double_and_add)(const float *x, const float *skip, float *out, int height, int width, int channels) {
    int row = row_of(width, channels), narrow = row_of(width / 2, channels);
    for (int y = 0; y < height; y++)
        for (int column = 0; column < width; column++)
            for (int c = 0; c < channels; c += 4) {
                const float *from = x + (y / 2 + 1) * narrow + (column / 2 + 1) * channels + c;
                int to = (y + 1) * row + (column + 1) * channels + c;
                store(out + to, load(from) + load(skip + to));
            }
}
