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
}
