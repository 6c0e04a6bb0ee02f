// Secret bytes, random bytes, comparison.

import Crypto
import Primitives
import Testing

@Suite struct SecretsTests {
    @Test("random bytes have the count asked for and differ each time")
    func random() {
        #expect(RandomBytes.make(0).isEmpty)
        #expect(RandomBytes.make(32).count == 32)
        #expect(Set((0..<64).map { _ in RandomBytes.make(16) }).count == 64)
    }

    @Test("a secret lends the bytes it was made of")
    func lending() {
        let secret = SecretBytes(copying: [1, 2, 3].span)
        #expect(secret.count == 3)
        let copy = secret.withBytes { bytes in [UInt8](copying: bytes) }
        #expect(copy == [1, 2, 3])
        let empty = SecretBytes(copying: [UInt8]().span)
        #expect(empty.count == 0)
    }

    @Test("a random secret has its count and no fixed value")
    func randomSecret() {
        let first = SecretBytes(randomCount: 32).withBytes { bytes in [UInt8](copying: bytes) }
        let second = SecretBytes(randomCount: 32).withBytes { bytes in [UInt8](copying: bytes) }
        #expect(first.count == 32)
        #expect(first != second)
    }

    @Test(
        "equal bytes are equal; another byte, a missing byte and an extra byte are not",
        arguments: [
            ([1, 2, 3], true), ([1, 2, 4], false), ([0, 2, 3], false), ([1, 2], false),
            ([1, 2, 3, 0], false),
        ] as [([UInt8], Bool)])
    func comparison(_ other: [UInt8], _ expected: Bool) {
        let isEqual = ConstantTime.equal([1, 2, 3].span, other.span)
        #expect(isEqual == expected)
    }

    @Test("nothing equals nothing")
    func emptyComparison() {
        let isEqual = ConstantTime.equal([UInt8]().span, [UInt8]().span)
        #expect(isEqual)
    }
}
