// How far two words are apart, and which known word was probably meant.
//
// Counts insertions, deletions, substitutions and swaps of neighbours (optimal string alignment), because swapped
// letters are the commonest slip of a typist. Words of a configuration are short; longer ones are never near.

package enum EditDistance {
    private static let wordBytesMax = 64

    /// The number of slips that make `second` of `first`.
    package static func between(_ first: String, _ second: String) -> Int {
        let a = Array(first.utf8)
        let b = Array(second.utf8)
        if a.count > wordBytesMax || b.count > wordBytesMax { return max(a.count, b.count) }
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var best = last[j] + (a[i] == b[j] ? 0 : 1)
                best = min(best, last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    best = min(best, beforeLast[j - 1] + 1)
                }
                row.append(best)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }

    /// The nearest of `candidates`, if it is near enough to have been meant: a slip for each three letters.
    package static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        var best: (word: String, distance: Int)?
        for candidate in candidates {
            let distance = between(word.lowercased(), candidate.lowercased())
            if distance < best?.distance ?? Int.max { best = (candidate, distance) }
        }
        guard let best, best.distance <= max(1, min(word.utf8.count, best.word.utf8.count) / 3) else {
            return nil
        }
        return best.word
    }
}
