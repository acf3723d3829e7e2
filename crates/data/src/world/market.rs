//! A market: prices, purchases and their sums.

use super::page::Page;

pub(super) fn write(page: &mut Page) {
    let world = page.world;
    let here = page.somewhere();
    page.place('p', here);
    page.text('g', &world.coin);
    page.draw('k', 1, 30);
    page.month('x');
    page.choose(&[
        "Market of {p}, {p.day}, the {k} of {x}",
        "Prices at {p}",
        "The market of {p} on {p.day}",
        "What things cost in {p}",
    ]);
    page.paragraph();
    let mut wares: Vec<usize> = Vec::new();
    while wares.len() < 4 || (wares.len() < 14 && page.random.chance(75)) {
        let thing = page.something();
        if !wares.contains(&thing) {
            wares.push(thing);
        }
    }
    if page.random.chance(50) {
        wares.sort_by_key(|&thing| world.price(thing, here));
    }
    for &thing in &wares {
        page.thing('t', thing);
        page.number('k', world.price(thing, here));
        page.line("{t}: {k} {many g}");
    }
    for _ in 0..page.random.between(1, 4) {
        page.paragraph();
        purchase(page, here, &wares);
    }
}

fn purchase(page: &mut Page, here: usize, wares: &[usize]) {
    let world = page.world;
    let buyer = page.living(&[]);
    page.person('a', buyer);
    page.choose(&[
        "{a}, {an a.trade}, buys:",
        "{a} of {a.home} comes to the market and buys:",
        "The bill of {a}:",
        "{a.first} {a.family} [wants|takes|asks for]:",
    ]);
    page.raw("\n");
    let mut total = 0;
    let mut sums = Vec::new();
    let kinds = page.random.between(1, 4) as usize;
    let first = page.random.below(wares.len());
    for step in 0..kinds.min(wares.len()) {
        let thing = wares[(first + step) % wares.len()];
        let price = world.price(thing, here);
        let count = 1 + page.random.skewed(12) as u64;
        page.thing('t', thing);
        page.number('c', count);
        page.number('u', price);
        page.number('s', count * price);
        page.line(if count == 1 { "1 {t}: {u}" } else { "{c} {many t}: {c} * {u} = {s}" });
        total += count * price;
        sums.push((count * price).to_string());
    }
    page.number('s', total);
    if sums.len() > 1 {
        page.say("Together");
        page.raw(format_args!(" {} = {total} ", sums.join(" + ")));
        page.inline("{many g}.");
    } else {
        page.say("Together {s} {many g}.");
    }
    // The buyer pays with more than that, in tens or hundreds.
    let round = if total < 60 { 10 } else { 100 };
    let paid = (total / round + 1 + page.random.skewed(3) as u64) * round;
    page.number('i', paid);
    page.number('j', paid - total);
    page.choose(&[
        "{a.he} pays {i} and gets {i} - {s} = {j} {many g} back.",
        "From {i} {many g} {j} are left.",
        "{a.he} [had|brought] {i} {many g} and goes home with {j}.",
    ]);
}
