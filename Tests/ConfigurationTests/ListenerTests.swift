// Listeners: sockets, PROXY protocol, and whose word on the client's address is taken.

import Configuration
import Testing

@Suite("Listeners and trusted proxies")
struct ListenerTests {
    private func range(_ text: String) -> AddressRange? { try? AddressDecoding.addressRange(text) }

    @Test("a listener is an address and port or a socket, with or without PROXY protocol")
    func listeners() {
        func listener(_ text: String) -> ListenerConfiguration? {
            load(minimal("listen \(text);")).configuration?.listeners.last
        }
        let socket = ListenAddress.unix(path: "/run/http.sock")
        #expect(listener("unix:/run/http.sock") == ListenerConfiguration(address: socket))
        #expect(
            listener("unix:/run/http.sock proxy_protocol")
                == ListenerConfiguration(address: socket, expectsProxyProtocol: true))
        #expect(listener("127.0.0.1:81 proxy_protocol")?.expectsProxyProtocol == true)
        #expect(listener("127.0.0.1:81")?.expectsProxyProtocol == false)
        for wrong in [
            "127.0.0.1:81 proxy", "unix:", "unix:///run/http.sock",
            "127.0.0.1:81 proxy_protocol proxy_protocol",
        ] {
            #expect(listener(wrong) == nil, "\(wrong)")
        }
    }

    @Test("a socket is listened on once, and the control listener's is another")
    func sockets() {
        let listen = "listen unix:/run/a;"
        #expect(load(minimal(listen + "listen unix:/run/b;")).diagnostics == [])
        #expect(messages(load(minimal(listen + listen))) == ["this address is listened on already"])
        #expect(load(minimal(listen + "control { listen unix:/run/b; }")).diagnostics == [])
        #expect(
            messages(load(minimal(listen + "control { listen unix:/run/a; }")))
                == ["this address is listened on already"])
    }

    @Test("a listener that believes PROXY headers needs to know whose, unless only this machine reaches it")
    func proxyProtocol() {
        let message = "anyone who connects here could claim any address: nobody is named as a proxy"
        for address in ["0.0.0.0:81", "[::]:81", "10.0.0.1:81"] {
            let listen = "listen \(address) proxy_protocol;"
            #expect(messages(load(minimal(listen))) == [message], "\(address)")
            // A socket's peers are not those of this listener.
            #expect(messages(load(minimal(listen + "trusted_proxies unix;"))) == [message], "\(address)")
            #expect(load(minimal(listen + "trusted_proxies 10.0.0.2;")).diagnostics == [], "\(address)")
        }
        for address in ["127.0.0.1:81", "[::1]:81", "unix:/run/http.sock"] {
            #expect(load(minimal("listen \(address) proxy_protocol;")).diagnostics == [], "\(address)")
        }
    }

    @Test("nobody's word is taken by default")
    func noTrustByDefault() throws {
        let configuration = try #require(load(minimal()).configuration)
        #expect(configuration.trustedProxies == [])
        #expect(!configuration.trustsUnixPeers)
    }

    @Test("a range is an address and how many of its bits count")
    func ranges() {
        #expect(range("10.0.0.0/8") == AddressRange(bytes: [10, 0, 0, 0], prefixBits: 8))
        #expect(range("192.0.2.1") == AddressRange(bytes: [192, 0, 2, 1], prefixBits: 32))
        #expect(range("192.0.2.1/32") == range("192.0.2.1"))
        #expect(range("192.0.2.128/25")?.prefixBits == 25)
        #expect(range("0.0.0.0/0") == AddressRange(bytes: [0, 0, 0, 0], prefixBits: 0))
        #expect(range("2001:db8::/33")?.prefixBits == 33)
        #expect(range("::1") == AddressRange(bytes: Array(repeating: 0, count: 15) + [1], prefixBits: 128))
        let wrong = [
            "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10/8", "::/129", "[::1]",
            "a.b",
            "*", "10.0.0.0/255.0.0.0", "10.0.0.1:80",
        ]
        for text in wrong { #expect(range(text) == nil, "\(text)") }
    }

    @Test("a range with bits set behind its prefix is refused, with the network that was perhaps meant")
    func hostBits() {
        for (text, network) in [
            ("10.1.2.3/8", "10.0.0.0/8"), ("192.0.2.129/25", "192.0.2.128/25"), ("0.0.0.1/0", "0.0.0.0/0"),
            ("fd00::1/64", "fd00::/64"), ("2001:db8:1:2:3::/33", "2001:db8::/33"),
        ] {
            #expect(range(network) != nil, "\(network)")
            do throws(ValueProblem) {
                _ = try AddressDecoding.addressRange(text)
                Issue.record("\(text) is accepted")
            } catch {
                #expect(error.help.contains("the network is \(network);"), "\(text)")
            }
        }
    }

    @Test("IPv4 in the dress of IPv6 is IPv4, as peers are compared")
    func mappedRanges() {
        #expect(range("::ffff:10.0.0.0/104") == range("10.0.0.0/8"))
        #expect(range("::ffff:192.0.2.1") == range("192.0.2.1"))
        #expect(range("::fffe:192.0.2.1")?.bytes.count == 16)
    }

    @Test("an address has one text, as browsers write it")
    func addressTexts() {
        for (text, canonical) in [
            ("127.0.0.1", "127.0.0.1"), ("::", "::"), ("0:0:0:0:0:0:0:1", "::1"), ("FE80:0::", "fe80::"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("1:0:2:0:0:5:6:7", "1:0:2::5:6:7"), ("1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"),
            ("::ffff:1.2.3.4", "::ffff:102:304"),
        ] {
            #expect(IPLiteral.bytes(of: text).map(IPLiteral.text) == canonical, "\(text)")
        }
    }

    @Test("a control listener on a socket needs no secret")
    func controlSocket() throws {
        let loaded = load(minimal("control { listen unix:/run/control.sock; }"))
        #expect(loaded.diagnostics == [])
        let control = try #require(loaded.configuration?.control)
        #expect(control.address == .unix(path: "/run/control.sock"))
        #expect(control.secret == nil)
    }
}
