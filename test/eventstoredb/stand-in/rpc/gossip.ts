import type { sendUnaryData } from '@grpc/grpc-js'
import type { MemberState } from '../cluster/members.ts'
import type { Address } from '../store/line.ts'
import { ticks } from '../store/record.ts'
import { ClusterInfo, EndPoint, MemberInfo } from './generated.ts'
import type { Gossip } from './generated.ts'
import { idMessage } from './ids.ts'

const { VNodeState } = MemberInfo
const STATES: Readonly<Record<MemberState, Gossip.MemberInfo.VNodeState>> = {
  starting: VNodeState.INITIALIZING,
  unknown: VNodeState.UNKNOWN,
  follower: VNodeState.FOLLOWER,
  leader: VNodeState.LEADER,
  ending: VNodeState.SHUTTINGDOWN,
}

export type Member = { readonly id: string; readonly address: Address; readonly state: MemberState; readonly alive: boolean }

/** The nodes of the cluster as one of them sees them. */
export function readGossip(members: readonly Member[], answer: sendUnaryData<Gossip.ClusterInfo>): void {
  const cluster = new ClusterInfo()
  cluster.setMembersList(members.map(memberInfo))
  answer(null, cluster)
}

function memberInfo({ id, address, state, alive }: Member): Gossip.MemberInfo {
  const member = new MemberInfo()
  member.setInstanceId(idMessage(id))
  member.setTimeStamp(String(ticks(Date.now())))
  member.setState(STATES[state])
  member.setIsAlive(alive)
  const endPoint = new EndPoint()
  endPoint.setAddress(address.host)
  endPoint.setPort(address.port)
  member.setHttpEndPoint(endPoint)
  return member
}
