// What is counted, and how Prometheus reads it (text format 0.0.4).
//
// Has no lock: each number is written by one owner, a shard most often, and read by whoever asks. So counting
// costs a load and a store, and needs no instruction that locks the bus.

import Synchronization

/// A number of one owner that others may read.
package final class Counter: Sendable {
    private let number = Atomic<UInt64>(0)

    package init() {}

    /// What it is at.
    package var value: UInt64 { number.load(ordering: .relaxed) }

    /// Counts on. The owner's alone: two at once would lose one.
    package func add(_ count: UInt64 = 1) {
        number.store(number.load(ordering: .relaxed) &+ count, ordering: .relaxed)
    }

    /// Sets what has been counted elsewhere. The owner's alone.
    package func set(_ value: UInt64) { number.store(value, ordering: .relaxed) }
}

/// Many counters of one owner, in one block of memory.
package final class CounterBlock: Sendable {
    /// How many there are.
    package static let count = 896
    private let numbers: InlineArray<896, Atomic<UInt64>>

    package init() { numbers = InlineArray { _ in Atomic(0) } }

    package func value(_ index: Int) -> UInt64 { numbers[index].load(ordering: .relaxed) }

    /// Counts one of them on. The owner's alone.
    package func add(_ index: Int, _ count: UInt64 = 1) {
        numbers[index].store(numbers[index].load(ordering: .relaxed) &+ count, ordering: .relaxed)
    }
}

/// What a metric is to Prometheus.
package enum MetricKind: String, Sendable {
    case counter, gauge, histogram
}

/// The labels of a sample.
package typealias MetricLabels = [(name: StaticString, value: String)]

/// Writes metrics, each with its help, its type and its samples.
package struct MetricsText {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// Begins a metric; its samples follow.
    ///
    /// - Parameter name: with its unit, and `_total` where it counts: Prometheus' naming practices.
    package mutating func begin(_ name: StaticString, _ kind: MetricKind, _ help: StaticString) {
        bytes += Array("# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n".utf8)
    }

    /// One sample of the metric that was begun.
    package mutating func sample(_ name: StaticString, _ labels: MetricLabels, _ value: Double) {
        write(name, "", labels, value)
    }

    /// The samples of a histogram that was begun.
    package mutating func sample(_ name: StaticString, _ labels: MetricLabels, _ sum: HistogramSum) {
        var count: UInt64 = 0
        for (bound, number) in zip(Histogram.boundTexts, sum.counts) {
            count &+= number
            write(name, "_bucket", labels + [("le", bound)], Double(count))
        }
        write(name, "_sum", labels, Double(sum.microseconds) / 1_000_000)
        write(name, "_count", labels, Double(count))
    }

    private mutating func write(
        _ name: StaticString, _ suffix: String, _ labels: MetricLabels, _ value: Double
    ) {
        bytes += Array(name.description.utf8)
        bytes += Array(suffix.utf8)
        if !labels.isEmpty {
            bytes.append(UInt8(ascii: "{"))
            for (index, label) in labels.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes += Array("\(label.name)=\"".utf8)
                Self.escape(label.value, into: &bytes)
                bytes.append(UInt8(ascii: "\""))
            }
            bytes.append(UInt8(ascii: "}"))
        }
        bytes += Array(" \(Self.text(value))\n".utf8)
    }

    package mutating func sample(_ name: StaticString, _ labels: MetricLabels, _ value: UInt64) {
        sample(name, labels, Double(value))
    }

    /// The one sample of a metric without labels.
    package mutating func sample(_ name: StaticString, _ value: UInt64) { sample(name, [], Double(value)) }

    /// Whole numbers without a fraction: counters are read by people, too.
    private static func text(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.isFinite ? String(value) : value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf"
    }

    /// A label's value has three characters escaped, and anything else in UTF-8.
    private static func escape(_ text: String, into output: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): output += Array("\\\\".utf8)
            case UInt8(ascii: "\""): output += Array("\\\"".utf8)
            case UInt8(ascii: "\n"): output += Array("\\n".utf8)
            default: output.append(byte)
            }
        }
    }
}
