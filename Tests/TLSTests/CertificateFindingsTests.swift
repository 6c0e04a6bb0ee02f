// Tests of what `check` is told: each way in which a certificate or its key can be wrong, and the nearest one
// that is right.

import Primitives
import Support
import TLS
import Testing

@Suite("What is wrong with a certificate")
struct CertificateFindingsTests {
    let certificates: TestCertificates
    /// 2023-11-14.
    let now = WallTime(seconds: 1_700_000_000)

    init() throws { certificates = try TestCertificates.shared.get() }

    private func errors(_ material: CertificateMaterial, at time: WallTime? = nil) -> [String] {
        let findings = material.report(at: time ?? now).findings
        return findings.filter { $0.severity == .error }.map(\.sentence)
    }

    private func warnings(_ material: CertificateMaterial, at time: WallTime? = nil) -> [String] {
        let findings = material.report(at: time ?? now).findings
        return findings.filter { $0.severity == .warning }.map(\.sentence)
    }

    @Test("a sound chain has no fault, and says what it covers and until when")
    func sound() {
        let report = certificates.two.material(with: certificates.intermediate).report(at: now)
        #expect(report.findings == [])
        #expect(report.names == ["two.test", "127.0.0.1"])
        #expect(report.expiry == WallTime(seconds: 2_524_521_600))
        #expect(report.covers("TWO.test") && report.covers("127.0.0.1"))
        #expect(!report.covers("one.test") && !report.covers("127.0.0.2"))
        let wild = certificates.wild.material().report(at: now)
        #expect(wild.covers("a.wild.test") && !wild.covers("wild.test") && !wild.covers("a.b.wild.test"))
    }

    @Test("what is no PEM, holds no certificate or no key, or is damaged")
    func unreadable() throws {
        let one = certificates.one
        func broken(_ chain: [UInt8]?, _ key: [UInt8]?) -> [String] {
            errors(CertificateMaterial(chain: chain ?? one.pem, key: key ?? one.key))
        }
        #expect(broken(nil, nil) == [])
        #expect(broken(Array("nothing".utf8), nil) == ["the certificate is not PEM: no line begins a block"])
        #expect(broken(nil, [0x30, 0x82]) == ["the private key is not PEM: no line begins a block"])
        #expect(broken(one.key, nil) == ["there is no certificate in the file, though it is PEM"])
        #expect(broken(nil, one.pem) == ["there is no private key in the file, though it is PEM"])
        let damaged = one.pem.prefix(200) + Array("\n-----END CERTIFICATE-----\n".utf8)
        #expect(
            broken(Array(damaged), nil)
                == ["a certificate of the chain is damaged: its PEM block cannot be read"])
        #expect(
            try broken(nil, certificates.forge.encrypted(one))
                == ["the private key is encrypted, and nobody is there to give its passphrase"])
    }

    @Test("a key of another certificate, and which one it fits")
    func fit() {
        let (two, intermediate) = (certificates.two, certificates.intermediate)
        #expect(
            errors(CertificateMaterial(chain: two.pem, key: certificates.one.key))
                == ["the key does not fit the certificate of 'CN=two'"])
        let swapped = errors(CertificateMaterial(chain: intermediate.pem + two.pem, key: two.key))
        #expect(
            swapped.contains(
                "the key is that of certificate 2 of the file ('CN=two'), which must stand first"))
    }

    @Test("a chain out of order, with a gap, with its root, and without an issuer")
    func order() {
        let (root, two, intermediate) = (certificates.root, certificates.two, certificates.intermediate)
        #expect(
            errors(two.material(with: root, intermediate))
                == [
                    "certificate 2 of the file ('CN=Root') has not signed the one before it ('CN=two'):"
                        + " the order is wrong"
                ])
        #expect(
            errors(two.material(with: root))
                == [
                    "certificate 2 of the file ('CN=Root') has not signed the one before it ('CN=two'):"
                        + " one between them is missing, or it does not belong"
                ])
        #expect(errors(two.material(with: intermediate, root)) == [])
        #expect(
            warnings(two.material(with: intermediate, root))
                == ["the chain ends with its root, which clients have anyway"])
        #expect(
            warnings(two.material())
                == ["the chain has no certificate of an issuer: clients that do not know it will refuse"])
        #expect(warnings(certificates.selfSigned.material()) == [])
    }

    @Test("over, not begun, and soon over")
    func time() {
        let material = certificates.expired.material(with: certificates.root)
        func expired(_ seconds: Int64) -> [String] { errors(material, at: WallTime(seconds: seconds)) }
        // 2020-01-01 and 2021-01-01.
        let (start, end): (Int64, Int64) = (1_577_836_800, 1_609_459_200)
        #expect(expired(start - 1).first == "the certificate of 'CN=expired' is not valid before 2020-01-01")
        #expect(expired(start) == [])
        #expect(expired(end) == [])
        #expect(expired(end + 1) == ["the certificate of 'CN=expired' has expired on 2021-01-01"])
        let soon = "the certificate of 'CN=expired' expires on 2021-01-01"
        let (day, days): (Int64, Int64) = (86400, 14 * 86400)
        #expect(warnings(material, at: WallTime(seconds: end - days + 1)).contains(soon))
        #expect(!warnings(material, at: WallTime(seconds: end - days)).contains(soon))
        let report = material.report(at: WallTime(seconds: end - 2 * day), warningDays: 1)
        #expect(!report.findings.contains { $0.sentence == soon })
    }

    @Test("weak keys and signatures, a purpose that is another, and no names")
    func strength() throws {
        let forge = certificates.forge
        let name = "subjectAltName = DNS:one.test"
        let short = try forge.issue(
            "/CN=short", extensions: [name], key: .rsa(bits: 1024), issuer: certificates.root)
        #expect(
            errors(short.material())
                == ["the certificate of 'CN=short' has an RSA key of 1024 bits; 2048 is the least"])
        #expect(throws: TLSSettingsError.self) {
            try ServerTLS(sites: [TLSSite(names: [], certificates: [short.material()])])
        }
        let old = try forge.issue("/CN=old", extensions: [name], issuer: certificates.root, digest: "sha1")
        #expect(errors(old.material()) == ["the certificate of 'CN=old' is signed with SHA-1 or less"])
        #expect(errors(certificates.oneRSA.material()) == [])
        #expect(
            errors(certificates.client.material()) == [
                "the certificate is not for servers (extended key usage)",
                "the certificate covers no name: it has no subjectAltName",
            ])
    }

    @Test("what cannot serve is refused when a listener is built, what is merely over is not")
    func build() throws {
        func build(_ material: CertificateMaterial) throws {
            _ = try ServerTLS(sites: [TLSSite(names: [], certificates: [material])])
        }
        try build(certificates.expired.material())
        #expect(throws: TLSSettingsError.self) {
            try build(CertificateMaterial(chain: certificates.one.pem, key: certificates.two.key))
        }
        #expect(throws: TLSSettingsError.self) {
            try build(certificates.two.material(with: certificates.root))
        }
    }

    @Test("no sentence holds a line of a key")
    func secrets() throws {
        let lines = String(decoding: certificates.one.key, as: UTF8.self).split(separator: "\n")
        let material = CertificateMaterial(chain: certificates.one.key, key: certificates.one.key)
        for finding in material.report(at: now).findings {
            for line in lines where line.count > 8 { #expect(!finding.sentence.contains(line)) }
        }
    }
}
