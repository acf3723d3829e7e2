//! The common words of every world. A world orders them by its own habits (see `prose.rs`).

/// A kind of work: who does it, with what, where, what is made or done.
#[derive(Debug, PartialEq, Eq)]
pub struct Trade {
    /// `baker`.
    pub name: &'static str,
    /// What the hand holds: `peel`.
    pub tool: &'static str,
    /// Where it is done: `bakehouse`.
    pub place: &'static str,
    /// The verb in the past and its object: `baked bread`.
    pub did: &'static str,
    /// The same in the present, third person: `bakes bread`.
    pub does: &'static str,
}

macro_rules! trades {
    ($($name:literal $tool:literal $place:literal $did:literal $does:literal)*) => {
        &[$(Trade { name: $name, tool: $tool, place: $place, did: $did, does: $does }),*]
    };
}

/// Every trade, the common ones first.
pub(super) const TRADES: &[Trade] = trades! {
    "farmer" "plough" "farm" "worked the fields" "works the fields"
    "baker" "peel" "bakehouse" "baked bread" "bakes bread"
    "smith" "hammer" "forge" "shod horses" "shoes horses"
    "weaver" "loom" "weaving shed" "wove cloth" "weaves cloth"
    "carpenter" "saw" "workshop" "built tables" "builds tables"
    "fisher" "net" "boathouse" "caught fish" "catches fish"
    "miller" "millstone" "mill" "ground corn" "grinds corn"
    "innkeeper" "tap" "inn" "kept an inn" "keeps an inn"
    "shepherd" "crook" "sheepfold" "tended sheep" "tends sheep"
    "teacher" "chalk" "school" "taught children" "teaches children"
    "potter" "wheel" "pottery" "made jars" "makes jars"
    "tailor" "needle" "sewing room" "sewed coats" "sews coats"
    "mason" "trowel" "stone yard" "built walls" "builds walls"
    "healer" "mortar" "herb room" "cured fevers" "cures fevers"
    "carter" "wagon" "stable" "carried goods" "carries goods"
    "ferryman" "pole" "landing" "rowed people over the water" "rows people over the water"
    "tanner" "scraper" "tannery" "tanned hides" "tans hides"
    "cooper" "mallet" "cooperage" "made barrels" "makes barrels"
    "beekeeper" "smoker" "bee garden" "kept bees" "keeps bees"
    "brewer" "mash fork" "brewhouse" "brewed ale" "brews ale"
    "clockmaker" "file" "clock shop" "mended clocks" "mends clocks"
    "scribe" "quill" "writing room" "copied books" "copies books"
    "gardener" "spade" "garden" "grew roses" "grows roses"
    "butcher" "cleaver" "butchery" "sold meat" "sells meat"
    "candlemaker" "wick frame" "wax room" "poured candles" "pours candles"
    "hunter" "bow" "lodge" "hunted deer" "hunts deer"
    "roper" "rope hook" "rope walk" "twisted ropes" "twists ropes"
    "glassblower" "blowpipe" "glasshouse" "blew glass" "blows glass"
    "dyer" "vat" "dye house" "dyed wool" "dyes wool"
    "cobbler" "awl" "cobbler's shop" "mended shoes" "mends shoes"
    "bellfounder" "ladle" "foundry" "cast bells" "casts bells"
    "mapmaker" "compass" "map room" "drew maps" "draws maps"
    "fiddler" "fiddle" "music room" "played at weddings" "plays at weddings"
    "thatcher" "thatching knife" "reed barn" "thatched roofs" "thatches roofs"
    "papermaker" "paper mould" "paper mill" "made paper" "makes paper"
    "surgeon" "lancet" "sickroom" "set broken bones" "sets broken bones"
    "saddler" "stitching awl" "saddlery" "made saddles" "makes saddles"
    "saltmaker" "salt pan" "salt house" "boiled salt" "boils salt"
    "astronomer" "brass tube" "tower" "watched the stars" "watches the stars"
    "locksmith" "pick" "lock shop" "made keys" "makes keys"
};

pub(super) const COLOURS: &[&str] = &[
    "red", "blue", "green", "brown", "white", "yellow", "grey", "black", "golden", "purple", "silver", "orange",
    "crimson", "copper", "scarlet", "amber", "violet", "ivory", "russet", "turquoise",
];

pub(super) const FEARS: &[&str] = &[
    "the dark", "deep water", "thunder", "dogs", "heights", "fire", "snakes", "strangers", "spiders", "horses",
    "crowds", "ghosts", "bees", "ice", "storms", "caves", "geese", "bridges", "rats", "owls",
];

pub(super) const HOBBIES: &[&str] = &[
    "singing", "fishing", "carving spoons", "walking in the hills", "playing chess", "telling riddles", "dancing",
    "reading old books", "gathering mushrooms", "painting birds", "swimming", "playing the flute", "baking pies",
    "collecting stones", "watching clouds", "keeping pigeons", "skating", "writing verses", "mending old clocks",
    "climbing trees", "knitting", "rowing", "growing pumpkins", "pressing flowers", "making kites",
];

pub(super) const SHAPES: &[&str] = &[
    "small", "round", "long", "flat", "thick", "slender", "curled", "heavy", "hollow", "pointed", "square", "thin",
    "crooked", "smooth", "broad", "tall",
];

pub(super) const TASTES: &[&str] = &[
    "sweet", "sour", "bitter", "salty", "sharp", "mild", "smoky", "peppery", "nutty", "earthy", "creamy", "bland",
];

pub(super) const HABITATS: &[&str] = &[
    "on dry hills", "in wet meadows", "along the river banks", "in deep forests", "near old walls", "on the moor",
    "under tall oaks", "in cold springs", "among the rocks", "at the edge of fields", "in the marsh", "by the sea",
    "on high cliffs", "in quiet orchards", "beneath the snow", "in the shade of barns",
];

pub(super) const SEASONS: &[&str] = &["spring", "summer", "autumn", "winter"];

pub(super) const USES: &[&str] = &[
    "to cure a cough", "to dye wool", "to feed pigs", "to make soup", "to scent rooms", "to polish brass",
    "to keep moths away", "to fill pillows", "to mend nets", "to make ink", "to thicken sauces", "to light lamps",
    "to tan leather", "to calm a fever", "to bait hooks", "to sweeten tea", "to seal jars", "to stuff dolls",
    "to season stews", "to bind books", "to frighten crows", "to clean pots", "to make rope", "to flavour ale",
];

/// Things of the house, the yard and the workshop.
pub(super) const OBJECTS: &[&str] = &[
    "basket", "lantern", "kettle", "ladder", "rope", "bucket", "cloak", "hat", "candle", "key", "table", "chair",
    "knife", "spoon", "blanket", "barrel", "box", "letter", "book", "map", "coin", "ring", "bell", "mirror",
    "drum", "flute", "cart", "boat", "lamp", "clock", "jar", "jug", "broom", "needle", "hammer", "axe", "sack",
    "chest", "window", "door", "gate", "fence", "wheel", "saddle", "boot", "glove", "scarf", "coat", "purse",
    "pipe", "plate", "bowl", "cup", "pan", "oven", "stove", "bench", "stool", "shelf", "cradle", "pillow",
    "curtain", "carpet", "anchor", "oar", "sail", "net", "hook", "trap", "cage", "kite", "doll", "spade", "rake",
    "plough", "sickle", "saw", "nail", "chain", "lock", "hinge", "bolt", "button", "thimble", "thread", "ribbon",
    "comb", "brush", "bottle", "cork", "funnel", "sieve", "tray", "kerchief", "apron", "belt", "buckle", "feather",
    "quill", "seal", "scroll", "ledger", "inkwell", "compass", "whistle", "fiddle", "harp", "banner", "shield",
    "spear", "bow", "arrow", "quiver", "helmet", "lever", "pulley", "anvil", "bellows", "chisel", "mallet", "loom",
    "spindle", "churn", "trough", "yoke", "bridle", "stirrup", "crate", "hamper", "satchel", "trunk", "casket",
];

pub(super) const ANIMALS: &[&str] = &[
    "dog", "horse", "cat", "cow", "sheep", "goat", "pig", "hen", "goose", "duck", "mouse", "rat", "fox", "wolf",
    "bear", "deer", "hare", "rabbit", "owl", "crow", "raven", "hawk", "eagle", "sparrow", "swallow", "lark",
    "heron", "swan", "frog", "toad", "snake", "lizard", "bee", "wasp", "ant", "spider", "moth", "beetle", "snail",
    "trout", "eel", "otter", "badger", "hedgehog", "squirrel", "mole", "bat", "donkey", "mule", "ox", "calf",
    "lamb", "kitten", "puppy", "rooster", "pigeon", "magpie", "thrush", "finch", "weasel", "stag", "boar",
];

/// What the land and the sky are made of.
pub(super) const NATURE: &[&str] = &[
    "river", "hill", "field", "forest", "road", "wind", "rain", "snow", "sun", "moon", "star", "cloud", "stone",
    "tree", "leaf", "flower", "path", "valley", "meadow", "stream", "lake", "shore", "island", "cliff", "cave",
    "mist", "frost", "storm", "thunder", "shadow", "hedge", "orchard", "marsh", "spring", "pond", "ditch", "ridge",
    "moor", "oak", "willow", "birch", "pine", "elm", "ash", "thorn", "moss", "fern", "reed", "root", "branch",
    "seed", "grass", "mud", "sand", "clay", "dust", "ice", "wave", "tide", "bay", "waterfall", "hollow", "glade",
];

pub(super) const BUILDINGS: &[&str] = &[
    "house", "mill", "inn", "church", "bridge", "market", "tower", "barn", "school", "well", "wall", "harbour",
    "hall", "stable", "forge", "garden", "square", "street", "cellar", "kitchen", "attic", "shop", "chapel",
    "library", "bakehouse", "granary", "dovecote", "lighthouse", "quarry", "mine", "fountain", "prison", "theatre",
    "workshop", "courtyard", "cottage", "castle", "gatehouse", "warehouse", "bathhouse", "hospital", "orphanage",
];

pub(super) const FOODS: &[&str] = &[
    "bread", "cheese", "soup", "butter", "milk", "honey", "apple", "pear", "plum", "cherry", "onion", "cabbage",
    "turnip", "carrot", "bean", "pea", "barley", "oat", "egg", "ham", "sausage", "pie", "cake", "pudding",
    "porridge", "stew", "ale", "cider", "wine", "tea", "salt", "pepper", "mustard", "garlic", "mushroom", "nut",
    "berry", "jam", "biscuit", "dumpling", "pancake", "broth", "cream", "vinegar", "radish", "leek", "pumpkin",
];

pub(super) const IDEAS: &[&str] = &[
    "hope", "fear", "joy", "grief", "anger", "patience", "silence", "memory", "promise", "secret", "dream", "song",
    "story", "rumour", "law", "debt", "luck", "winter", "morning", "evening", "night", "journey", "quarrel",
    "friendship", "courage", "pride", "envy", "kindness", "truth", "lie", "habit", "work", "rest", "hunger",
    "thirst", "fever", "wisdom", "folly", "peace", "war", "harvest", "wedding", "feast", "funeral", "bargain",
    "riddle", "wish", "doubt", "sorrow", "laughter", "mercy", "justice", "honour", "shame", "freedom", "duty",
];

pub(super) const ADJECTIVES: &[&str] = &[
    "old", "small", "great", "new", "long", "good", "little", "dark", "cold", "white", "young", "warm", "quiet",
    "heavy", "strong", "poor", "deep", "bright", "empty", "broken", "wide", "low", "high", "soft", "strange",
    "wet", "dry", "thin", "thick", "narrow", "wooden", "golden", "silver", "green", "grey", "black", "red", "blue",
    "brown", "clean", "dirty", "sweet", "bitter", "sharp", "dull", "smooth", "rough", "hollow", "crooked",
    "straight", "round", "square", "flat", "steep", "gentle", "fierce", "wild", "tame", "hungry", "tired",
    "sleepy", "lonely", "merry", "gloomy", "proud", "humble", "clever", "foolish", "lazy", "busy", "careful",
    "careless", "brave", "timid", "patient", "hasty", "loud", "silent", "slow", "quick", "early", "late", "sudden",
    "secret", "famous", "forgotten", "lost", "hidden", "open", "shut", "locked", "torn", "mended", "painted",
    "carved", "polished", "rusty", "dusty", "muddy", "frozen", "windy", "rainy", "sunny", "misty", "stormy",
    "starry", "pale", "faded", "fresh", "ripe", "rotten", "raw", "sour", "salty", "smoky", "fragrant", "rare",
    "common", "cheap", "costly", "simple", "plain", "fine", "coarse", "rich", "bare", "fertile", "barren",
    "distant", "near", "foreign", "native", "ancient", "modern", "sacred", "cursed", "lucky", "unlucky", "honest",
    "false", "true", "loyal", "faithful", "stubborn", "nervous", "calm", "restless", "weary", "cheerful",
    "thoughtful", "curious", "solemn", "grim", "tender", "stern", "bold", "shy", "noisy", "shrill", "hoarse",
    "slender", "stout", "tall", "short", "tiny", "huge", "enormous", "shallow", "sturdy", "fragile", "brittle",
    "crumbling", "leaning", "ruined", "deserted", "crowded", "peaceful", "dreadful", "splendid", "modest",
    "graceful", "clumsy", "nimble", "feeble", "mighty", "speckled", "striped", "spotted", "shaggy", "woolly",
];

/// What one does to another: base and past.
pub(super) const DEEDS: &[(&str, &str)] = &[
    ("carry", "carried"), ("find", "found"), ("watch", "watched"), ("follow", "followed"), ("leave", "left"),
    ("break", "broke"), ("mend", "mended"), ("hold", "held"), ("lose", "lost"), ("sell", "sold"),
    ("buy", "bought"), ("hide", "hid"), ("pull", "pulled"), ("push", "pushed"), ("lift", "lifted"),
    ("paint", "painted"), ("clean", "cleaned"), ("fill", "filled"), ("cover", "covered"), ("touch", "touched"),
    ("shake", "shook"), ("drop", "dropped"), ("guard", "guarded"), ("steal", "stole"), ("bring", "brought"),
    ("borrow", "borrowed"), ("count", "counted"), ("remember", "remembered"), ("forget", "forgot"),
    ("fear", "feared"), ("love", "loved"), ("hate", "hated"), ("praise", "praised"), ("blame", "blamed"),
    ("chase", "chased"), ("catch", "caught"), ("bury", "buried"), ("burn", "burned"), ("bend", "bent"),
    ("bite", "bit"), ("wash", "washed"), ("wake", "woke"), ("warm", "warmed"), ("cool", "cooled"),
    ("tie", "tied"), ("cut", "cut"), ("open", "opened"), ("close", "closed"), ("move", "moved"),
    ("turn", "turned"), ("cross", "crossed"), ("climb", "climbed"), ("pass", "passed"), ("reach", "reached"),
    ("surround", "surrounded"), ("crush", "crushed"), ("scatter", "scattered"), ("gather", "gathered"),
    ("weigh", "weighed"), ("measure", "measured"), ("draw", "drew"), ("drag", "dragged"), ("throw", "threw"),
    ("kick", "kicked"), ("soothe", "soothed"), ("startle", "startled"), ("admire", "admired"),
    ("envy", "envied"), ("inherit", "inherited"), ("repair", "repaired"), ("polish", "polished"),
    ("sharpen", "sharpened"), ("stitch", "stitched"), ("carve", "carved"), ("wrap", "wrapped"),
    ("unwrap", "unwrapped"), ("pawn", "pawned"), ("swallow", "swallowed"), ("taste", "tasted"),
    ("smell", "smelled"), ("hear", "heard"), ("ignore", "ignored"), ("trust", "trusted"), ("doubt", "doubted"),
    ("defend", "defended"), ("mock", "mocked"), ("bless", "blessed"), ("curse", "cursed"), ("forgive", "forgave"),
    ("teach", "taught"), ("feed", "fed"), ("tame", "tamed"), ("ride", "rode"), ("drive", "drove"),
    ("harvest", "harvested"), ("plant", "planted"), ("water", "watered"), ("dig", "dug"), ("build", "built"),
];

/// What one does alone: base and past.
pub(super) const ACTS: &[(&str, &str)] = &[
    ("sleep", "slept"), ("wait", "waited"), ("sing", "sang"), ("fall", "fell"), ("rise", "rose"),
    ("laugh", "laughed"), ("weep", "wept"), ("tremble", "trembled"), ("whisper", "whispered"),
    ("wander", "wandered"), ("rest", "rested"), ("vanish", "vanished"), ("return", "returned"),
    ("shine", "shone"), ("creak", "creaked"), ("groan", "groaned"), ("rattle", "rattled"), ("drift", "drifted"),
    ("sink", "sank"), ("float", "floated"), ("grow", "grew"), ("fade", "faded"), ("crumble", "crumbled"),
    ("glow", "glowed"), ("flicker", "flickered"), ("tumble", "tumbled"), ("limp", "limped"), ("hurry", "hurried"),
    ("linger", "lingered"), ("listen", "listened"), ("stare", "stared"), ("nod", "nodded"), ("shiver", "shivered"),
    ("dance", "danced"), ("stumble", "stumbled"), ("hesitate", "hesitated"), ("grumble", "grumbled"),
    ("smile", "smiled"), ("sigh", "sighed"), ("yawn", "yawned"), ("hum", "hummed"), ("crawl", "crawled"),
    ("leap", "leaped"), ("swim", "swam"), ("howl", "howled"), ("murmur", "murmured"), ("echo", "echoed"),
];

pub(super) const MANNERS: &[&str] = &[
    "slowly", "quietly", "at once", "for a long time", "again", "without a word", "in the dark", "gladly",
    "carefully", "before dawn", "after the rain", "in secret", "with a sigh", "every night", "once a year",
    "like an old friend", "as if nothing had happened", "patiently", "suddenly", "in vain", "against the wind",
    "by the fire", "far from home", "all through the winter", "with both hands", "for no reason", "as always",
    "until the bells rang", "bravely", "sadly", "by mistake", "on purpose", "from morning to evening",
    "under the stars", "in the snow", "with great care", "out of pity", "for the last time", "proudly", "softly",
];

/// Every word in these lists, so that no invented name is one of them.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let plain = [COLOURS, OBJECTS, ANIMALS, NATURE, BUILDINGS, FOODS, IDEAS, ADJECTIVES, SHAPES, TASTES, SEASONS];
    let pairs = [DEEDS, ACTS];
    plain
        .into_iter()
        .flatten()
        .copied()
        .chain(pairs.into_iter().flatten().flat_map(|&(base, past)| [base, past]))
        .chain(TRADES.iter().flat_map(|trade| [trade.name, trade.tool, trade.place]))
        .chain(["that", "this", "there", "with", "from", "when", "three", "seven", "like", "over", "then", "they"])
}
