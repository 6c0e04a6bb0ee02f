// What one shard counts of one route: requests by method and status, and how long they took. Laid out when
// the configuration changes and found by the route, so that a request costs a few loads and stores.

import HTTP
import Observability

/// The numbers of a route on one shard, all in one block. Written by it alone.
final class RouteMetrics: Sendable {
    private let numbers = CounterBlock()

    init() {
        precondition(Self.end <= CounterBlock.count, "a block has room for all numbers of a route")
    }

    /// An exchange is over.
    func concluded(_ method: Method, status: Int, microseconds: Int64) {
        numbers.add(Int(method.rawValue) * Self.codeCount + Self.place(of: status))
        let offset = Self.durations + Self.statusClass(status) * Histogram.width
        Histogram.observe(microseconds, numbers, at: offset)
    }

    /// The head of an upstream's answer has come.
    func upstreamAnswered(status: Int, microseconds: Int64) {
        let offset = Self.upstreamDurations + Self.statusClass(status) * Histogram.width
        Histogram.observe(microseconds, numbers, at: offset)
    }

    // MARK: - Reading

    func count(_ method: Int, _ place: Int) -> UInt64 { numbers.value(method * Self.codeCount + place) }

    /// How long answers took, by the first digit of their status.
    func duration(ofClass index: Int) -> Histogram {
        Histogram(numbers, at: Self.durations + index * Histogram.width)
    }

    /// How long the upstream took to the head of its answer.
    func upstreamDuration(ofClass index: Int) -> Histogram {
        Histogram(numbers, at: Self.upstreamDurations + index * Histogram.width)
    }

    // MARK: - The parts of the block

    /// First a place for each method and status.
    private static let durations = 10 * codeCount
    private static let upstreamDurations = durations + classCount * Histogram.width
    private static let end = upstreamDurations + classCount * Histogram.width

    // MARK: - Closed lists

    /// In the order of `Method`. OpenTelemetry calls what nobody knows `_OTHER`.
    static let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER",
    ]

    static let classCount = 5

    /// 0 for 1xx. What is not a status was never answered.
    private static func statusClass(_ status: Int) -> Int { min(max(status / 100, 1), classCount) - 1 }

    /// A place for each registered status, and one for all others: an upstream may answer with any number.
    private static func place(of status: Int) -> Int {
        switch status {
        case 101: 0
        case 200...208: 1 + status - 200
        case 226: 10
        case 300...308: 11 + status - 300
        case 400...431: 20 + status - 400
        case 451: 52
        // The client went away.
        case 499: 53
        case 500...511: 54 + status - 500
        default: codeCount - 1
        }
    }

    private static let codeCount = 67

    /// The places that have a status, with it as a label.
    static let codes: [(place: Int, label: String)] = {
        let known = (100..<600).map { (place(of: $0), String($0)) }.filter { $0.0 != codeCount - 1 }
        return known + [(codeCount - 1, "_OTHER")]
    }()
}

/// What several shards have counted of one route.
struct RouteSum {
    let label: String
    let parts: [RouteMetrics]

    func count(_ method: Int, _ place: Int) -> UInt64 { parts.reduce(0) { $0 &+ $1.count(method, place) } }

    func duration(ofClass index: Int) -> HistogramSum {
        var sum = HistogramSum()
        for part in parts { sum.add(part.duration(ofClass: index)) }
        return sum
    }

    func upstreamDuration(ofClass index: Int) -> HistogramSum {
        var sum = HistogramSum()
        for part in parts { sum.add(part.upstreamDuration(ofClass: index)) }
        return sum
    }
}
