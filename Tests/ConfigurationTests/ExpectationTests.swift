// `expect` as text: each word, and what is wrong with its neighbours.

import Configuration
import Testing

@Suite("Expectations")
struct ExpectationTests {
    private func expectation(_ text: String) -> PolicyExpectation? {
        load(minimal("expect \(text);")).configuration?.expectations.last
    }

    private func problems(_ text: String) -> [String] { messages(load(minimal("expect \(text);"))) }

    @Test("an anonymous request has no token, and a token without another word is a good one")
    func credentials() throws {
        #expect(expectation("GET / anonymous 401")?.request.token == nil)
        #expect(try #require(expectation("GET / token forwarded")).request.token == SampleToken())
        #expect(
            problems("GET / header Sec-Fetch-Mode=navigate 401")
                == ["this request neither has a token nor is anonymous"])
        #expect(
            problems("GET / anonymous scope a 401") == ["'scope' is said of a token, and 'anonymous' of none"]
        )
        #expect(problems("GET / anonymous header Origin=https://a.example 401") == [])
    }

    @Test("the outcome is a status of an answer, or forwarded")
    func outcomes() {
        #expect(expectation("GET / anonymous forwarded")?.outcome == .forwarded)
        #expect(expectation("GET / anonymous 599")?.outcome == .status(599))
        for text in ["199", "600", "0401", "+41", "allowed"] {
            #expect(
                problems("GET / anonymous \(text)") == ["'\(text)' is not what can become of a request"])
        }
    }

    @Test(
        "a target is a path as a client sends it, or a URL",
        arguments: [
            ("/a/../b%2e?c=d", nil, "/a/../b%2e?c=d"),
            ("https://Files.Example.com", "files.example.com", "/"),
            ("http://[::1]:8080/a", "[::1]:8080", "/a"),
        ])
    func targets(_ text: String, _ authority: String?, _ target: String) {
        let request = expectation("GET \(text) anonymous 401")?.request
        #expect(request?.target == target)
        #expect(request?.authority == authority)
    }

    @Test(
        "what is no request is refused at its place",
        arguments: [
            ("get / anonymous 401", "'get' is not a method"),
            ("GET admin anonymous 401", "'admin' is not a target of a request"),
            ("GET ftp://h/ anonymous 401", "'ftp://h/' is not a URL"),
            ("GET / claim role 401", "'role' is not a claim with its value"),
            ("GET / claim sub=a 401", "'sub=a' is a claim that every token has"),
            ("GET / token claim 401", "'claim' needs a value"),
            ("GET / tokn 401", "'tokn' says nothing of a request"),
            (
                "GET / issuer https://a.example/ 401",
                "'https://a.example/' is no issuer of this configuration"
            ),
            ("GET / anonymous header Host=h 401", "'Host=h' is said in another way"),
            ("GET / anonymous header Origin 401", "'Origin' is not a field with its value"),
        ])
    func refusals(_ text: String, _ message: String) { #expect(problems(text) == [message]) }

    @Test("a claim's name may have an equals sign of its own, and its value any number")
    func claims() {
        let claims = expectation("GET / claim =a.b=c=d claim https://h/roles=x 401")?.request.token?.claims
        #expect(
            claims == [
                SampleClaim(path: ClaimPath(["a.b"]), value: "c=d"),
                SampleClaim(path: ClaimPath(["https://h/roles"]), value: "x"),
            ])
    }
}
