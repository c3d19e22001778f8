"""The page's style sheet: colours as variables, so that light, dark and print share all rules."""

from __future__ import annotations

_LIGHT = """
color-scheme:light;
--bg:#f5f6f8;--card:#fff;--sunk:#f1f3f6;--ink:#161a1f;--soft:#535d69;--line:#dfe3e8;--grid:#e8ebef;
--accent:#0a5aa8;--good:#146c37;--good-bg:#e3f4e8;--bad:#b3251b;--bad-bg:#fdeceb;
--warn:#855000;--warn-bg:#fdf1d8;--info:#0a5aa8;--info-bg:#e4f0fb;
--c1:#1a6fb8;--c2:#c2560a;--c3:#0a7d59;--c4:#8150c8;--c5:#bf3573;--c6:#8a6c00;--c7:#0c7a8c;
--c8:#606a76;--v1:#1a6fb8;--v2:#6f8fc0;--v3:#9a8aa0;--v4:#c9736a;--v5:#c8410d;
--shadow:0 1px 2px rgb(16 24 40/.06),0 1px 3px rgb(16 24 40/.05);
"""

_DARK = """
color-scheme:dark;
--bg:#0e1114;--card:#161a1f;--sunk:#1d2228;--ink:#e7eaee;--soft:#a2acb8;--line:#2b3139;--grid:#232931;
--accent:#74b7f5;--good:#6fd397;--good-bg:#12301f;--bad:#ff9088;--bad-bg:#3b1917;
--warn:#f2bd5f;--warn-bg:#352808;--info:#74b7f5;--info-bg:#11293f;
--c1:#5fadf0;--c2:#f29147;--c3:#41c297;--c4:#b795f7;--c5:#f17fb2;--c6:#d8b43c;--c7:#4dc5d6;
--c8:#a4aeba;--v1:#4da3ee;--v2:#7c9fd0;--v3:#a295a8;--v4:#dd8a7c;--v5:#ff8243;
--shadow:none;
"""

_RULES = """
*,*::before,*::after{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-padding-top:4rem}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif;overflow-wrap:anywhere;
font-variant-numeric:tabular-nums}
h1,h2,h3,p,dl,dd,ul,figure,pre{margin:0;padding:0}
ul{list-style:none}
a{color:var(--accent);text-decoration:none}
a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
code,pre{font:.88em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
code{background:var(--sunk);border-radius:4px;padding:.08em .35em}
th,td,dd,code,text,.chip,li{unicode-bidi:isolate}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.5rem 1rem;z-index:9}

.page{max-width:76rem;margin:0 auto;padding:1.5rem 1.25rem 4rem}
header.top{display:flex;flex-wrap:wrap;gap:.15rem 1.25rem;align-items:baseline;
margin-bottom:1rem}
header.top h1{font-size:1.15rem;font-weight:650;letter-spacing:-.01em}
header.top p{color:var(--soft);font-size:.88rem}
main{min-width:0}
section{margin-top:2.4rem}
h2{font-size:1.3rem;line-height:1.3;font-weight:650;letter-spacing:-.012em}
h3{font-size:.97rem;line-height:1.4;font-weight:620}
.lead{color:var(--soft);max-width:46rem;margin-top:.2rem}
section>*+*{margin-top:.9rem}
section>*+.lead{margin-top:.15rem}
section>*+.under{margin-top:.55rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;
box-shadow:var(--shadow);padding:1.1rem 1.25rem}
.card.flush{padding:0;overflow:hidden}
.card>h3+*,.card>*+h3,.card>.hint+*{margin-top:.7rem}
.card>*+.scroll,.card>.scroll+*,.card>*+.pairs,.card>.pairs+*{margin-top:.9rem}
.again{margin-top:1rem}
.again pre{margin-top:.35rem}
.hint{color:var(--soft);font-size:.87rem;max-width:44rem}
.muted{color:var(--soft)}
.small{font-size:.87rem}
.strong{font-weight:620}

nav.contents{position:sticky;top:0;z-index:5;margin:0 -1.25rem;padding:.45rem 1.25rem;
background:var(--bg);border-bottom:1px solid var(--line);overflow-x:auto;scrollbar-width:none;
-webkit-overflow-scrolling:touch}
nav.contents::-webkit-scrollbar{display:none}
nav.contents ul{display:flex;gap:.25rem}
nav.contents a{display:block;white-space:nowrap;padding:.3rem .55rem;border-radius:7px;
font-size:.87rem;color:var(--soft)}
nav.contents a:hover{background:var(--sunk);color:var(--ink);text-decoration:none}

.hero{border-top:4px solid var(--tone)}
.hero.good{--tone:var(--good)}.hero.bad{--tone:var(--bad)}.hero.warn{--tone:var(--warn)}
.hero.info,.hero.none{--tone:var(--info)}
.hero h2{font-size:1.55rem;margin:.55rem 0 .35rem;text-wrap:balance}
.hero .reason{max-width:52rem;color:var(--ink)}
.hero>.hint{margin-top:.4rem}
.hero .fix{margin-top:.7rem;padding:.65rem .85rem;background:var(--sunk);border-radius:8px}
.badge{display:inline-flex;align-items:center;gap:.4em;font-size:.8rem;font-weight:640;
padding:.14rem .62rem .14rem .36rem;border-radius:99px;white-space:nowrap;background:var(--sunk);
color:var(--soft)}
.badge .mark{display:inline-grid;place-items:center;width:1.35em;height:1.35em;border-radius:50%;
font-weight:800;font-size:.85em;line-height:1;background:currentcolor}
.badge .mark{color:inherit;background:none;border:1.5px solid currentcolor}
.badge.good{color:var(--good);background:var(--good-bg)}
.badge.bad{color:var(--bad);background:var(--bad-bg)}
.badge.warn{color:var(--warn);background:var(--warn-bg)}
.badge.info{color:var(--info);background:var(--info-bg)}
.chip{display:inline-block;font-size:.77rem;font-weight:560;color:var(--soft);
background:var(--sunk);border-radius:5px;padding:0 .4em;margin-left:.45em;white-space:nowrap}
.chip.good{color:var(--good);background:var(--good-bg)}
.chip.bad{color:var(--bad);background:var(--bad-bg)}
.chip.warn{color:var(--warn);background:var(--warn-bg)}
.chip.info{color:var(--info);background:var(--info-bg)}

.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));
background:var(--card);border:1px solid var(--line);border-radius:12px;overflow:hidden;
box-shadow:var(--shadow)}
.tile{box-shadow:1px 0 0 var(--line),0 1px 0 var(--line);padding:.8rem 1.1rem .85rem}
.tile dt{color:var(--soft);font-size:.83rem}
.tile .value{display:block;font-size:1.42rem;line-height:1.3;font-weight:640;letter-spacing:-.015em}
.tile .below{display:block;color:var(--soft);font-size:.83rem}
.tile.good .value{color:var(--good)}.tile.bad .value{color:var(--bad)}
.tile.warn .value{color:var(--warn)}

.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.7rem 1.5rem}
.pairs dt{color:var(--soft);font-size:.83rem}
.pairs.one{grid-template-columns:1fr}

.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch;margin:0 -1.25rem;position:relative}
.card.flush .scroll{margin:0}
.scroll:first-child:last-child{margin-top:-.6rem;margin-bottom:-.6rem}
.card.flush .scroll:first-child:last-child{margin:0}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.44rem .65rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
tbody:last-child tr:last-child>*{border-bottom:0}
th:first-child,td:first-child{padding-left:1.25rem}
th:last-child,td:last-child{padding-right:1.25rem}
thead th{color:var(--soft);font-weight:560;font-size:.82rem;white-space:nowrap;
vertical-align:bottom}
tbody th{font-weight:560;min-width:8.5rem;max-width:22rem}
tr.group th{padding-top:1rem;color:var(--soft);font-size:.82rem;font-weight:560;max-width:none}
tbody:first-of-type tr.group th{padding-top:.6rem}
.k-number{text-align:right;white-space:nowrap}
td.k-bar{min-width:9.5rem;width:26%}
td.k-text{min-width:5.5rem}
td.k-words{min-width:15rem}
td.k-short,th.k-short{white-space:nowrap}
tr.main>*,th .strong{font-weight:640}
.sub{display:block;color:var(--soft);font-weight:400;font-size:.85rem;max-width:36rem}
.sub.bad{color:var(--bad)}
.params{color:var(--soft);font-size:.84rem;font-weight:400}
.params>span{display:inline-block;margin-right:.9em}
.params b{font-weight:560;color:var(--ink)}
.examples code{margin:0 .3em .3em 0;display:inline-block}

.issues li{padding:.85rem 1.25rem;border-bottom:1px solid var(--line)}
.issues li:last-child{border-bottom:0}
.issues .head{display:flex;flex-wrap:wrap;gap:.25rem .7rem;align-items:center;margin-bottom:.3rem}
.issues .hint{max-width:none;margin-top:.15rem}

details{border:1px solid var(--line);border-radius:12px;background:var(--card);
box-shadow:var(--shadow)}
summary{cursor:pointer;padding:.6rem 1.25rem;font-weight:560;font-size:.92rem}
summary::marker{color:var(--soft)}
details[open]>summary{border-bottom:1px solid var(--line)}
details>.inside{padding:1rem 1.25rem}
details>.inside>.scroll:first-child{margin-top:-1rem}
details>.inside>.scroll:last-child{margin-bottom:-1rem}
.card details{box-shadow:none;margin-top:.9rem}
pre{background:var(--sunk);border-radius:8px;padding:.7rem .9rem;overflow-x:auto}
pre code{background:none;padding:0;white-space:pre}

.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21.5rem),1fr));
gap:.9rem}
figure{background:var(--card);border:1px solid var(--line);border-radius:12px;
box-shadow:var(--shadow);padding:1rem 1.1rem .9rem;min-width:0}
.figures.two{grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr))}
figure.wide{grid-column:1/-1}
figcaption{margin-bottom:.75rem}
.chart{position:relative;padding:0 1.4rem 0 3.1rem}
.plot{display:block;width:100%;overflow:visible;margin-bottom:26px}
.in{overflow:visible}
.ylabel{color:var(--soft);font-size:.8rem;margin:0 0 .5rem -3.1rem}
.xlabel{color:var(--soft);font-size:.8rem;text-align:right;margin-top:-2px}
.bar{display:block;width:100%;overflow:visible}
text{font-size:12px;fill:var(--ink)}
text.tick{fill:var(--soft);font-size:11.5px}
text.end{text-anchor:end}text.mid{text-anchor:middle}
text.note{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
text.soft{fill:var(--soft)}
.rule{stroke:var(--soft);stroke-width:1;stroke-dasharray:4 3;shape-rendering:crispEdges}
.rule.grid{stroke:var(--grid);stroke-dasharray:none}
.rule.solid{stroke-dasharray:none}
.rule.ref{stroke:var(--soft)}
.rule.strong{stroke:var(--ink);stroke-dasharray:none}
.rule.bad{stroke:var(--bad)}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round;
vector-effect:non-scaling-stroke}
.line.soft{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:4 3}
.line.dash{stroke-dasharray:7 4}.line.dot{stroke-dasharray:1.5 4}
.line.strong{stroke:var(--ink);stroke-width:1.6}
.band{fill:var(--c);opacity:.15}
.cloud{fill:none;stroke:var(--c);stroke-width:5;stroke-linecap:round;opacity:.5;
vector-effect:non-scaling-stroke}
.cloud.fine{stroke-width:4.2;opacity:.8}
.cloud.v1{--c:var(--v1)}.cloud.v2{--c:var(--v2)}.cloud.v3{--c:var(--v3)}.cloud.v4{--c:var(--v4)}
.cloud.v5{--c:var(--v5)}.cloud.v0{--c:var(--c8)}
.spot{fill:var(--c);stroke:var(--card);stroke-width:1.5}
.spot.hollow{fill:var(--card);stroke:var(--c)}
.spot.bad{--c:var(--bad)}
.spot.chosen{fill:var(--c2);stroke-width:2}
.span{stroke:var(--c);stroke-width:3;stroke-linecap:round}
.fill{fill:var(--c)}
.whisker{stroke:var(--ink);stroke-width:1.2;opacity:.75}
.zone{fill:var(--c);opacity:.13}
.good{--c:var(--good)}.bad{--c:var(--bad)}.warn{--c:var(--warn)}.none{--c:var(--soft)}
.info{--c:var(--info)}
.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}
.c5{--c:var(--c5)}.c6{--c:var(--c6)}.c7{--c:var(--c7)}.c8{--c:var(--c8)}
.legend{display:flex;flex-wrap:wrap;gap:.15rem 1rem;font-size:.84rem;margin:.1rem 0 .6rem}
.legend li{display:flex;align-items:center;gap:.45rem}
.legends{display:flex;flex-wrap:wrap;gap:0 1rem}
.key{flex:none;width:16px;height:0;border-top:3px solid var(--c);border-radius:2px}
.key.dash2{border-top-style:dashed}.key.dot2{border-top-style:dotted}
.key.disc{width:10px;height:10px;border:0;border-radius:50%;background:var(--c)}
.key.box{width:11px;height:11px;border:0;border-radius:3px;background:var(--c)}
.key.ring{width:10px;height:10px;border:2px solid var(--c);border-radius:50%;background:none}

.flat .chart{padding:0 .6rem}
.flat .plot{margin-bottom:24px}
.swarm{margin-top:.8rem}
.swarm>div{display:grid;grid-template-columns:minmax(6rem,11rem) 7.5rem 1fr;column-gap:1rem;
align-items:center}
.swarm .name{font-size:.87rem;text-align:right;line-height:1.25;padding:.2rem 0}
.swarm .mean{display:grid;grid-template-columns:3.2rem 1fr;gap:.5rem;font-size:.84rem;
color:var(--soft);text-align:right}
.swarm svg{display:block;width:100%;overflow:visible}
.ramp{display:inline-flex;gap:2px;vertical-align:middle;margin:0 .45em}
.ramp i{width:14px;height:9px;border-radius:2px;background:var(--c)}
.ramp .v1{--c:var(--v1)}.ramp .v2{--c:var(--v2)}.ramp .v3{--c:var(--v3)}.ramp .v4{--c:var(--v4)}
.ramp .v5{--c:var(--v5)}
.heat{width:auto;max-width:100%;margin:0 1.25rem}
.heat td{text-align:center;border:2px solid var(--card);border-radius:7px;min-width:4.7rem;
padding:.5rem .4rem;position:relative;vertical-align:middle}
.heat td .n{display:block;font-weight:600}
.heat td .p{display:block;font-size:.78rem;color:var(--soft)}
.heat td::before{content:"";position:absolute;inset:0;background:var(--c);opacity:var(--a);
border-radius:5px}
.heat td>*{position:relative}
.heat thead th{text-align:center;white-space:normal;min-width:4.7rem;max-width:9rem}
.heat tr>:first-child{text-align:left;padding-left:0}
.heat th,.heat tbody tr>*{border-bottom:0}
.heat tbody th{min-width:5rem;max-width:11rem;vertical-align:middle}
.drift tbody th{min-width:12.5rem}
.drift td.k-bar{width:11%;min-width:6.5rem}
.before{opacity:.38}
.levels>div{display:grid;grid-template-columns:minmax(4.5rem,8.5rem) 1fr 3.4rem;column-gap:.7rem;
align-items:center;padding:.14rem 0}
.levels .name{font-size:.85rem;line-height:1.2;text-align:right}
.levels svg{display:block;width:100%}
.levels .fill.c8{opacity:.6}
.levels .shares{display:grid;font-size:.76rem;line-height:1.15;color:var(--soft);text-align:right}
.levels .shares b{font-weight:600;color:var(--ink)}
h3 .badge{margin-left:.3rem;vertical-align:1px}
.glossary{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:.8rem 1.6rem}
.glossary dt{font-weight:600;font-size:.9rem}
.glossary dd{color:var(--soft);font-size:.87rem}
footer{margin-top:3rem;color:var(--soft);font-size:.83rem}

@media (max-width:40rem){
.page{padding:1rem .9rem 3rem}
body{font-size:14.5px}
.card,.figures>figure,section>figure{padding-left:.95rem;padding-right:.95rem}
.card.flush{padding:0}
.scroll{margin-left:-.95rem;margin-right:-.95rem}
th:first-child,td:first-child{padding-left:.95rem}
nav.contents{margin:0 -.9rem;padding:.4rem .9rem}
.heat{margin:0 .95rem}
.hero h2{font-size:1.3rem}
.tiles{grid-template-columns:repeat(2,1fr)}
.tile{padding:.65rem .85rem}
.tile .value{font-size:1.2rem}
tbody th{min-width:8.6rem;max-width:11rem}
tbody th.long{min-width:14rem;max-width:18rem}
.issues li{padding:.75rem .95rem}
.tile:last-child:nth-child(odd){grid-column:1/-1}
.pairs{grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr))}
.swarm>div{grid-template-columns:1fr 6.5rem}
.swarm>div>svg{grid-column:1/-1}
.swarm .name{text-align:left;margin-top:.3rem}
.chart{padding:0 1rem 0 2.7rem}
.ylabel{margin-left:-2.7rem}
}
@media print{
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
body{background:#fff;font-size:10.5pt}
nav.contents,.skip{display:none}
.card,figure,details,.tiles{box-shadow:none}
figure,.tile,tr,.hero{break-inside:avoid}
h2,h3{break-after:avoid}
.scroll{overflow:visible}
details::details-content{content-visibility:visible;display:block}
}
"""

SHEET = (
    f":root{{{_LIGHT}}}"
    # On paper it is always light.
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    f"{_RULES}"
)
"""The whole style sheet. It holds no ``<``."""
