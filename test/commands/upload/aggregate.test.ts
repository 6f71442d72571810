import { describe, expect, it } from '@jest/globals'
import { uploadAggregate } from '../../../src/commands/upload/aggregate.ts'
import { BlobUploaded } from '../../../src/commands/upload/events.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { repositoryKey } from '../../../src/ports/streams.ts'
import { eventOf } from '../../storage/events/contract.ts'

const uploaded = BlobUploaded({ repository: repositoryKey('11111111-1111-4111-8111-111111111111', 'app'), digest: digestOf('sha256', Buffer.from('x')), size: 1 })

describe('an upload', () => {
  it('ends once, whatever is said of it again', async () => {
    const upload = uploadAggregate('22222222-2222-4222-8222-222222222222')
    expect(upload.stream).toBe('upload-22222222-2222-4222-8222-222222222222')
    const open = await upload.load(uploaded)
    expect(upload.decide(open, uploaded)).toStrictEqual([uploaded])
    expect(upload.decide(await upload.evolve(open, eventOf(uploaded), uploaded), uploaded)).toStrictEqual([])
  })
})
