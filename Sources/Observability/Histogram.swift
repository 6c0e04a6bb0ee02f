// Durations by how long they were, as Prometheus reads them: numbers in a block of counters, which has no
// lock. One owner counts, whoever asks reads.

/// Durations of one kind. Its buckets are those of OpenTelemetry for HTTP, and three below: what a proxy adds
/// is less than a millisecond.
package struct Histogram: Sendable {
    private let block: CounterBlock
    /// Where its numbers begin: one for each bucket, and the sum of all durations.
    private let offset: Int

    /// A histogram in a block of its own, or in a part of one.
    package init(_ block: CounterBlock = CounterBlock(), at offset: Int = 0) {
        self.block = block
        self.offset = offset
    }

    /// Counts a duration. The owner's alone.
    package func observe(microseconds: Int64) { Self.observe(microseconds, block, at: offset) }

    /// The same, where a request must not pay for more than the counting.
    package static func observe(_ microseconds: Int64, _ block: CounterBlock, at offset: Int) {
        block.add(offset + bucket(of: microseconds))
        block.add(offset + bucketCount, UInt64(max(0, microseconds)))
    }

    fileprivate func add(to sum: inout HistogramSum) {
        for index in sum.counts.indices { sum.counts[index] &+= block.value(offset + index) }
        sum.microseconds &+= block.value(offset + sum.counts.count)
    }

    /// How many counters one takes.
    package static let width = bucketCount + 1
    private static let bucketCount = 18

    /// The upper ends of the buckets in seconds, as the label `le` has them.
    package static let boundTexts = [
        "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75",
        "1", "2.5", "5", "7.5", "10", "+Inf",
    ]

    /// The bucket of a duration, which is at most as long as its bound.
    private static func bucket(of microseconds: Int64) -> Int {
        switch microseconds {
        case ...500: 0
        case ...1_000: 1
        case ...2_500: 2
        case ...5_000: 3
        case ...10_000: 4
        case ...25_000: 5
        case ...50_000: 6
        case ...75_000: 7
        case ...100_000: 8
        case ...250_000: 9
        case ...500_000: 10
        case ...750_000: 11
        case ...1_000_000: 12
        case ...2_500_000: 13
        case ...5_000_000: 14
        case ...7_500_000: 15
        case ...10_000_000: 16
        default: 17
        }
    }
}

/// What several histograms of one kind come to.
package struct HistogramSum: Sendable {
    /// By bucket, the last for what is longer than every bound.
    fileprivate(set) var counts = [UInt64](repeating: 0, count: Histogram.boundTexts.count)
    package fileprivate(set) var microseconds: UInt64 = 0

    package init() {}

    /// Takes in what a histogram has counted.
    package mutating func add(_ histogram: Histogram) { histogram.add(to: &self) }

    /// How many durations there were.
    package var count: UInt64 { counts.reduce(0, &+) }
}
