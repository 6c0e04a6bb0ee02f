// The text format of Prometheus, and the counters behind it.

import Observability
import Testing

@Suite struct MetricsTests {
    private func text(_ write: (inout MetricsText) -> Void) -> String {
        var text = MetricsText()
        write(&text)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    @Test("a metric has its help, its type, and its samples")
    func metric() {
        let written = text {
            $0.begin("a_total", .counter, "Counts a.")
            $0.sample("a_total", [("route", "/"), ("result", "hit")], UInt64(7))
            $0.begin("b", .gauge, "Is b.")
            $0.sample("b", 3)
        }
        #expect(
            written == """
                # HELP a_total Counts a.
                # TYPE a_total counter
                a_total{route="/",result="hit"} 7
                # HELP b Is b.
                # TYPE b gauge
                b 3

                """)
    }

    @Test("what a label holds cannot leave its quotes or its line")
    func escapes() {
        let written = text { $0.sample("a", [("x", "\\ \" \n {} é")], UInt64(1)) }
        #expect(written == "a{x=\"\\\\ \\\" \\n {} é\"} 1\n")
    }

    @Test(
        "numbers are written whole where they are whole",
        arguments: [
            (0.0, "0"), (-2.0, "-2"), (0.25, "0.25"), (1e15, "1000000000000000"), (.infinity, "+Inf"),
            (-.infinity, "-Inf"), (.nan, "NaN"),
        ])
    func numbers(_ value: Double, _ expected: String) {
        #expect(text { $0.sample("a", [], value) } == "a \(expected)\n")
    }

    @Test("a counter counts on, and takes what was counted elsewhere")
    func counter() {
        let counter = Counter()
        counter.add()
        counter.add(4)
        #expect(counter.value == 5)
        counter.set(.max)
        counter.add(2)
        #expect(counter.value == 1)
    }

    @Test("a block counts each of its places for itself")
    func block() {
        let block = CounterBlock()
        block.add(0)
        block.add(CounterBlock.count - 1)
        block.add(CounterBlock.count - 1)
        #expect(block.value(0) == 1 && block.value(1) == 0 && block.value(CounterBlock.count - 1) == 2)
    }

    @Test(
        "a duration is counted in the bucket that it is at most as long as",
        arguments: [
            (-5, "0.0005", 0.0), (0, "0.0005", 0), (500, "0.0005", 0.0005), (501, "0.001", 0.000501),
            (10_000_000, "10", 10), (10_000_001, "+Inf", 10.000001),
        ] as [(Int64, String, Double)])
    func buckets(_ microseconds: Int64, _ bucket: String, _ seconds: Double) throws {
        let histogram = Histogram()
        histogram.observe(microseconds: microseconds)
        var sum = HistogramSum()
        sum.add(histogram)
        let written = text { $0.sample("a_seconds", [("route", "/")], sum) }
        let lines = written.split(separator: "\n").map(String.init)
        let first = lines.first { $0.hasSuffix(" 1") }
        #expect(first == "a_seconds_bucket{route=\"/\",le=\"\(bucket)\"} 1")
        #expect(lines.count == Histogram.boundTexts.count + 2)
        #expect(lines.last == "a_seconds_count{route=\"/\"} 1")
        let total = try #require(lines[lines.count - 2].split(separator: " ").last.flatMap { Double($0) })
        #expect(total == seconds)
    }

    @Test("buckets of several shards add up, and each holds what the shorter ones hold")
    func sums() {
        let (one, two) = (Histogram(), Histogram())
        for microseconds in [400, 600, 20_000_000] as [Int64] { one.observe(microseconds: microseconds) }
        two.observe(microseconds: 700)
        var sum = HistogramSum()
        sum.add(one)
        sum.add(two)
        let written = text { $0.sample("a", [], sum) }
        #expect(sum.count == 4)
        #expect(written.contains("a_bucket{le=\"0.0005\"} 1\na_bucket{le=\"0.001\"} 3\n"))
        #expect(written.contains("a_bucket{le=\"10\"} 3\na_bucket{le=\"+Inf\"} 4\n"))
    }
}
