/* Requests in words, as in dino/data/words.py. `Dino.language` holds its lists of words. */

Dino.define(function words(Dino) {
  "use strict";
  const WITHOUT = /\b(?:without|not|no)\b([^]*?)(?:\bbut\b|(?=\bwith\b|[,;.]|$))/g;
  const MAX_WORD = 40;

  /* Return the words of a text in lower case, without those that say nothing about an image. */
  Dino.splitWords = (text) =>
    (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter(
      (word) => !Dino.language.empty.includes(word) && [...word].length <= MAX_WORD,
    );

  /* Return {words, unwanted, unknown}: the words of the vocabulary that an image shall show, those that it shall not,
     and words of the text that the model doesn't know. */
  Dino.parseRequest = function parseRequest(request, vocabulary) {
    const text = request.toLowerCase().replace(/(?<=\bt)[- ](?=rex\b)/g, ""); // "t-rex" is one word
    const wanted = Dino.splitWords(text.replace(WITHOUT, " "));
    const unwanted = [...text.matchAll(WITHOUT)].flatMap((match) => Dino.splitWords(match[1]));
    const find = (words) => [...new Set(words.map((word) => Dino.findWord(word, vocabulary)).filter(Boolean))];
    const unknown = new Set([...wanted, ...unwanted].filter((word) => !Dino.findWord(word, vocabulary)));
    return { words: find(wanted), unwanted: find(unwanted), unknown: [...unknown] };
  };

  /* Return the word of the vocabulary that a word means, or null. Plurals, synonyms and beginnings are understood. */
  Dino.findWord = function findWord(word, vocabulary) {
    for (const candidate of [word, word.replace(/s$/, ""), word.replace(/es$/, "")])
      for (const name of [candidate, Dino.language.synonyms[candidate]]) if (vocabulary.includes(name)) return name;
    const beginnings = vocabulary.filter((known) => word.length >= 4 && known.startsWith(word));
    return beginnings.length === 1 ? beginnings[0] : null;
  };

  /* Complete a request with the words of a real image, chosen at random, as far as they fit: `dino.data.words.complete`.

     Returns a condition: a Float32Array of n_words zeros and ones. */
  Dino.complete = function complete({ words, unwanted = [] }, vocabulary, wordSets, random) {
    const asked = words.map((word) => vocabulary.indexOf(word));
    const chosen = wordSets.length ? wordSets[random.randint(wordSets.length, 1)[0]] : [];
    const together = (a, b) => wordSets.some((set) => set.includes(a) && set.includes(b));
    const added = chosen.filter(
      (column) => !unwanted.includes(vocabulary[column]) && asked.every((word) => together(word, column)),
    );
    const condition = new Float32Array(vocabulary.length);
    for (const column of [...asked, ...added]) condition[column] = 1;
    return condition;
  };
});
