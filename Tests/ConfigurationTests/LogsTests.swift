// The block `logs`: destinations, and what syslog takes beside them.

import Configuration
import Testing

@Suite("The logs block")
struct LogsTests {
    private func logs(_ text: String) -> LogsConfiguration? {
        load(minimal("logs { \(text) }")).configuration?.logs
    }

    @Test("a log goes to syslog with its own socket, facility and tag, and a format beside them")
    func syslog() throws {
        #expect(logs("access syslog;")?.access == .syslog(.init()))
        let access = try #require(logs("access syslog:unix:/run/log combined facility=local3 tag=gw_1;"))
        var expected = LogsConfiguration.Syslog()
        (expected.path, expected.facility, expected.tag) = ("/run/log", .local3, "gw_1")
        #expect(access.access == .syslog(expected))
        #expect(access.accessFormat == .combined)
        #expect(logs("access syslog tag=x;")?.accessFormat == .json)
        let long = String(repeating: "p", count: 106)
        #expect(logs("error syslog:unix:/\(long);") != nil)
        #expect(logs("error syslog tag=\(String(repeating: "t", count: 32));") != nil)
    }

    @Test("the numbers of facilities are those of the C library")
    func facilities() {
        let codes = LogsConfiguration.Facility.allCases.map(\.code)
        #expect(codes == [1, 3, 4, 10, 16, 17, 18, 19, 20, 21, 22, 23])
    }

    @Test(
        "what is no destination, or no option of it, is refused",
        arguments: [
            ("error off;", "'off' is not a destination"),
            ("error syslg;", "'syslg' is not a destination"),
            ("audit syslog:/dev/log;", "'syslog:/dev/log' is not a syslog daemon"),
            ("audit syslog:unix:log;", "'syslog:unix:log' is not a syslog daemon"),
            ("audit syslog facility=kern;", "'facility=kern' is not one of the values"),
            ("audit syslog tag=a:b;", "'tag=a:b' is not a tag"),
            ("audit syslog tag=;", "'tag=' is not a tag"),
            ("audit syslog tag=a tag=b;", "'tag=b' is given twice"),
            ("audit stdout tag=a;", "'tag=a' is no option of this destination"),
            ("audit stdout json;", "'json' is no option of this destination"),
            ("access syslog tag=a combined;", "'combined' is no option of 'access'"),
        ])
    func refused(text: String, message: String) {
        #expect(messages(load(minimal("logs { \(text) }"))) == [message])
    }

    @Test("a path or a tag that is one too long is refused")
    func tooLong() {
        #expect(logs("error syslog:unix:/\(String(repeating: "p", count: 107));") == nil)
        #expect(logs("error syslog tag=\(String(repeating: "t", count: 33));") == nil)
    }
}
