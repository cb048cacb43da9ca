# SPDX-License-Identifier: GPL-3.0-or-later
"""How the page looks: system fonts, light or dark as the reader's machine says, readable on a phone and on paper."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;
--page:#fbfbfa;--sheet:#fff;--ink:#1b1f24;--soft:#56606c;--line:#e1e4e8;--link:#1a5696;--code:#f2f3f5;
--good:#1d6842;--warn:#855300;--bad:#ae2318;--quiet:#56606c;
--good-bg:#e6f3ec;--warn-bg:#fbf0dc;--bad-bg:#fce9e7;--quiet-bg:#eef0f2;
--gate:#b9c1cb;--lock:#93a0af;--before:#74add8;--drain:#d6ac36;--snapshot:#a289cf;--install:#2b68b0;
--restart:#d27433;--verify:#379a80;--rollback:#ae2318;--return:#86bfa5;--out:#1b1f24}
@media (prefers-color-scheme:dark){:root{
--page:#131619;--sheet:#191d21;--ink:#e7eaed;--soft:#a4adb7;--line:#2d343b;--link:#8dbdf0;--code:#22272d;
--good:#85d2a8;--warn:#ecc06c;--bad:#ff9d94;--quiet:#a4adb7;
--good-bg:#1b3226;--warn-bg:#382c13;--bad-bg:#411f1c;--quiet-bg:#272d33;
--gate:#58626e;--lock:#77838f;--before:#5b9dcf;--drain:#d4ac3d;--snapshot:#a48cd6;--install:#4c8fdd;
--restart:#de8443;--verify:#43ac8f;--rollback:#ff7d72;--return:#77ab94;--out:#e7eaed}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main{max-width:66rem;margin:0 auto;padding:2.5rem 1.5rem 4rem}
h1{font-size:2.1rem;line-height:1.15;letter-spacing:-.018em;font-weight:680;margin:.15rem 0 .5rem}
h2{font-size:1.3rem;line-height:1.25;letter-spacing:-.01em;font-weight:650;margin:3rem 0 .9rem}
h3{font-size:.82rem;font-weight:650;color:var(--soft);margin:1.5rem 0 .4rem}
p{margin:.3rem 0}
a{color:var(--link);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:2px solid var(--link);outline-offset:2px;
border-radius:3px}
code{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
.over{color:var(--soft);font-size:.92rem;margin:0}
.lead{font-size:1.15rem;margin:0}
.soft{color:var(--soft)}
.small{font-size:.86rem}
.good-ink{color:var(--good)}.warn-ink{color:var(--warn)}.bad-ink{color:var(--bad)}
.pill{display:inline-block;font-size:.78rem;line-height:1.35;font-weight:600;padding:.08rem .5rem;border-radius:1rem;
white-space:nowrap}
.pill.good{color:var(--good);background:var(--good-bg)}.pill.warn{color:var(--warn);background:var(--warn-bg)}
.pill.bad{color:var(--bad);background:var(--bad-bg)}.pill.quiet{color:var(--quiet);background:var(--quiet-bg)}
.needs{--side:1.4rem;margin:1.6rem 0 0;background:var(--sheet);border:1px solid var(--line);border-radius:10px;
padding:1.1rem var(--side) 1.2rem}
.needs h2{margin:0}
.needs.calm p{margin:.2rem 0 0}
.needs ol{list-style:none;margin:.5rem 0 0;padding:0}
.needs li{position:relative;padding:.9rem 0;border-top:1px solid var(--line);display:grid;
grid-template-columns:minmax(0,11fr) minmax(0,10fr);gap:.4rem 2rem}
.needs li:first-child{border-top:0}
.needs li:last-child{padding-bottom:0}
.needs .name{font-size:1.08rem;font-weight:650;margin:0 0 .1rem}
.needs .name .pill{margin-left:.5rem;vertical-align:.12em}
.needs dl{display:grid;grid-template-columns:4.8rem minmax(0,1fr);gap:.15rem .8rem;margin:.12rem 0 0;font-size:.92rem;
align-content:start}
.needs dt{color:var(--soft)}.needs dd{margin:0}
.needs .why{font-size:.98rem;margin:0}
.needs li.loud::before{content:"";position:absolute;left:calc(-1*var(--side) - 1px);top:.8rem;bottom:.8rem;width:4px;
border-radius:2px;background:var(--bad)}
.loud .name .pill{background:var(--bad);color:var(--sheet);letter-spacing:.02em}
.needs code{background:var(--code);padding:.12rem .4rem;border-radius:4px;user-select:all}
.needs code.line{width:fit-content;max-width:100%;margin:.1rem 0 .15rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.2rem,1fr));gap:1.2rem 1.5rem;margin:2rem 0 0}
.figures div{border-top:2px solid var(--ink);padding-top:.45rem}
.figures dt{color:var(--soft);font-size:.86rem;line-height:1.35}
.figures dd{margin:0;font-size:1.5rem;font-weight:650;letter-spacing:-.015em;line-height:1.25}
.figures small{display:block;font-size:.82rem;font-weight:400;letter-spacing:0;color:var(--soft);line-height:1.4}
.gantt .rows{list-style:none;margin:0;padding:0;border-bottom:1px solid var(--line)}
.row{display:grid;grid-template-columns:13rem minmax(0,1fr);align-items:center;column-gap:1rem}
.rows .row{border-top:1px solid var(--line)}
.row svg{display:block;overflow:visible}
.who{display:flex;justify-content:space-between;align-items:baseline;gap:.6rem}
.who a{font-weight:600;text-decoration:none;color:var(--ink)}.who a:hover{text-decoration:underline}
.axis text{font-size:12px;fill:var(--soft)}
.axis .closes{text-anchor:end;fill:var(--ink);font-weight:600}
.tick{stroke:var(--line);stroke-width:1}
line.closes{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 3}
.s-gate{fill:var(--gate);background:var(--gate)}.s-lock{fill:var(--lock);background:var(--lock)}
.s-health_before{fill:var(--before);background:var(--before)}.s-drain{fill:var(--drain);background:var(--drain)}
.s-snapshot{fill:var(--snapshot);background:var(--snapshot)}.s-install{fill:var(--install);background:var(--install)}
.s-restart{fill:var(--restart);background:var(--restart)}.s-verify{fill:var(--verify);background:var(--verify)}
.s-rollback{fill:var(--rollback);background:var(--rollback)}.s-return{fill:var(--return);background:var(--return)}
rect.out{fill:var(--out)}
rect.trouble{stroke:var(--bad);stroke-width:2.5}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;margin:.8rem 0 0;padding:0;font-size:.84rem;
color:var(--soft)}
.legend li{display:flex;align-items:center;gap:.4rem}
.legend i{width:.85rem;height:.7rem;border-radius:2px}
.legend i.out{height:3px;background:var(--out)}
.legend i.trouble{border:2px solid var(--bad)}
.legend i.closes{width:0;border-left:2px dashed var(--ink);border-radius:0;height:.9rem}
.wide{overflow-x:auto;margin:0 -.25rem;padding:0 .25rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;color:var(--soft);font-size:.84rem;padding-bottom:.35rem}
th,td{text-align:left;vertical-align:baseline;padding:.34rem 1rem .34rem 0;border-bottom:1px solid var(--line)}
thead th{font-size:.82rem;font-weight:600;color:var(--soft);vertical-align:bottom;white-space:nowrap}
tbody th{font-weight:600}
th:last-child,td:last-child{padding-right:0}
.num{text-align:right;white-space:nowrap}
.wide{overflow-wrap:normal}
.wide tbody th{white-space:nowrap}
.tag{font-weight:400}
td .tag{color:var(--soft);font-size:.82rem;white-space:nowrap}
.steps th,.steps td{padding-right:.9rem}
details.host{border-top:1px solid var(--line)}
details.host:last-of-type{border-bottom:1px solid var(--line)}
details.host>summary{display:grid;grid-template-columns:1rem 8.5rem 8rem minmax(0,1fr);gap:.2rem .8rem;
align-items:baseline;padding:.65rem 0;cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}
details.host>summary::before{content:"";width:.42rem;height:.42rem;border:solid var(--soft);
border-width:0 1.5px 1.5px 0;transform:rotate(-45deg);align-self:start;margin-top:.5rem}
details.host[open]>summary::before{transform:rotate(45deg)}
details.host>summary:hover .hostname{text-decoration:underline;text-underline-offset:.15em}
.hostname{font-weight:650}
.inside{padding:0 0 1.8rem 1.8rem}
.facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1.2rem;margin:.2rem 0 0;
font-size:.92rem}
.facts dt{color:var(--soft)}.facts dd{margin:0}
.label{display:none}
.stacks table{table-layout:fixed}
.stacks thead th:nth-child(1),.stacks thead th:nth-child(3){width:14%}
.stacks thead th:nth-child(2),.stacks thead th:nth-child(4){width:25%}
.stacks thead th{white-space:normal}
.stacks+p{margin-top:.9rem}
.updates table{table-layout:fixed}
.updates td,.updates th{font-size:.88rem}
.updates th:nth-child(2),.updates th:nth-child(3){width:21%}
.updates th:nth-child(4){width:32%}
.updates code b{font-weight:700}
.updates .old{color:var(--soft)}
.cves{font-size:.82rem}
.cves summary{cursor:pointer;color:var(--link)}
.hash{font-size:.82rem}
.line{display:block}
.id{display:inline-block;max-width:100%}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.84rem}
@media (max-width:60rem){
.stacks table,.stacks tbody,.stacks tr,.stacks td,.stacks th{display:block}
.stacks thead,.stacks td.idle{display:none}
.stacks tbody tr{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.2rem 1.2rem;
padding:.6rem 0;border-bottom:1px solid var(--line)}
.stacks tbody th{grid-column:1/-1}
.stacks td,.stacks tbody th{border:0;padding:0}
.stacks .label{display:block;color:var(--soft);font-size:.82rem}
}
@media (max-width:44rem){
main{padding:1.5rem 1rem 3rem}
h1{font-size:1.65rem}.lead{font-size:1.05rem}
.needs{--side:1rem;padding:.9rem var(--side) 1rem}
.needs li{grid-template-columns:minmax(0,1fr)}
.facts{grid-template-columns:1fr;gap:0}
.facts dd{margin-bottom:.35rem}
.figures{grid-template-columns:1fr 1fr;gap:1rem}
.row{grid-template-columns:minmax(0,1fr)}
.rows .row{padding-top:.4rem}
.axis span{display:none}
details.host>summary{grid-template-columns:1rem minmax(0,1fr) max-content}
details.host>summary .gist{grid-column:2/-1}
.inside{padding-left:0}
.updates table,.updates tbody,.updates tr,.updates td,.updates th{display:block}
.updates thead{display:none}
.updates tr{padding:.45rem 0;border-bottom:1px solid var(--line)}
.updates td,.updates tbody th{border:0;padding:0}
.updates .from,.updates .to{display:inline}
.updates .to::before{content:"→ ";color:var(--soft)}
}
@media print{
:root{color-scheme:light}
body{background:#fff;font-size:10.5pt}
main{max-width:none;padding:0}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;block-size:auto;opacity:1}
details.host>summary::before{display:none}
.needs,li,tr,.figures div{break-inside:avoid}
h2,h3{break-after:avoid}
a{color:inherit;text-decoration:none}
}
"""
