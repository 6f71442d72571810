import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { createCodec } from '../../src/commands/codec.ts'
import { eventTypes } from '../../src/commands/event-types.ts'

/*
 * An event of each type and version, as it was written: `<type>.v<version>.json` with its canonical text and the sha256 of that.
 * These files are never changed: what a release wrote, every later one must read, and its hash must stay what it was.
 */

type Golden = { readonly text: string; readonly hash: string }

const codec = createCodec(eventTypes)
const written = eventTypes.flatMap((type) => Object.keys(type.schemas).map((version) => ({ type, version: Number(version), file: `${type.type}.v${version}.json` })))
const read = (file: string): Golden => JSON.parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as Golden

describe('golden events', () => {
  it('are there for each type and version, and for no other', () => {
    const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.json'))
    expect(files.sort()).toEqual(written.map((each) => each.file).sort())
  })

  it.each(written)('$file is read as it was written', ({ type, version, file }) => {
    const { text, hash } = read(file)
    expect(JSON.parse(text)).toMatchObject({ type: type.type, version })
    const event = codec.decode(text, hash)
    expect(event).toMatchObject({ type: type.type, version: type.version })
    if (version !== type.version) return
    const again = codec.encode(event)
    expect(again.text).toBe(text)
    expect(again.hash.toString('hex')).toBe(hash)
  })

  it.each(written)('$file is refused with one bit turned', ({ file }) => {
    const { text, hash } = read(file)
    const bytes = Buffer.from(text)
    bytes[text.indexOf('"id"') + 8] = (bytes[text.indexOf('"id"') + 8] ?? 0) ^ 1
    expect(() => codec.decode(bytes.toString(), hash)).toThrow('hash')
  })
})
