"""Word lists of the narrative grammar: names, places, things, and everyday English.

Almost every constant is a tuple of strings. The lists are large and flat on purpose: a reader of a story cannot
guess which name, number or thing comes next, and has to look back to where it was stated. Their order is part
of the recipe: another order yields other stories.
"""


def _words(text: str) -> tuple[str, ...]:
    """Split a block of words and drop repeats; an underscore stands for a space inside one entry."""
    return tuple(dict.fromkeys(word.replace("_", " ") for word in text.split()))


FEMALE = _words("""
Ada Adela Agnes Aida Aisha Alba Alice Alicia Alina Alma Amara Amelia Amina Amira Amy Ana Andrea Angela Anika
Anita Anna Annika Anouk Anya April Ariana Asha Astrid Audrey Aurora Ava Aya Barbara Beatrice Bella Bertha
Beth Bianca Bonnie Brenda Bridget Britta Camilla Carla Carmen Carol Caroline Cecily Celeste Celia Chantal
Charlotte Chloe Clara Claudia Colette Cora Cordelia Corinna Cynthia Dagmar Dahlia Dana Daphne Daria Deborah
Delia Della Denise Diana Dina Dolores Dora Doris Edith Edna Eileen Elaine Eleanor Elena Elif Elisa Eliza Ella
Ellen Elsa Elsie Emilia Emily Emma Enid Erica Esme Estelle Esther Ethel Eva Evelyn Faith Farah Fatima Faye
Fern Fiona Flora Florence Frances Freya Frida Gabriela Gemma Georgia Gerda Gertrude Gina Giulia Gloria Grace
Greta Gwen Hanna Harriet Hazel Heather Hedda Heidi Helen Helga Henrietta Hilda Holly Hope Ida Ilse Imani
Imogen Ines Inga Ingrid Irene Iris Irma Isabel Isla Ivy Jana Jane Janet Jasmine Jean Jenny Jessica Joan
Joanna Josephine Joy Judith Julia Juliet June Kaia Karen Karin Kate Katia Kavita Kira Kirsten Klara Laila
Lara Laura Lavinia Layla Lea Leila Lena Leonie Leonora Leticia Lila Lilian Lily Linda Linnea Lisa Liv Lois
Lorna Lotta Louisa Lucia Lucy Luisa Lydia Mabel Madeleine Maeve Magda Maisie Malin Marcia Margaret Margot
Maria Marian Marina Marit Marlene Marta Martha Mary Matilda Maud Maya Meera Megan Mercy Mia Mina Minna Mira
Miriam Moira Molly Mona Monica Muriel Myra Nadia Nadine Nancy Naomi Natalia Nell Nella Nia Nicole Nina Noor
Nora Nuria Octavia Odette Olga Olive Olivia Paloma Pamela Patience Paula Pauline Pearl Penelope Petra
Philippa Phoebe Pia Polly Priya Prudence Rachel Ramona Rania Rebecca Regina Renata Rhoda Rita Roberta Rosa
Rosalind Rose Rosemary Rowena Ruby Ruth Sabine Sadie Sally Salma Samira Sandra Sara Selma Shirley Sigrid
Silvia Simone Sofia Sonia Stella Susan Susanna Svea Sybil Sylvia Tabitha Tamara Tania Tara Tess Tessa Thea
Thelma Theresa Tilda Tilly Tina Tova Una Ursula Valerie Vera Verity Veronica Viola Violet Vivian Wanda Wilma
Winifred Yara Yasmin Yolanda Yvonne Zadie Zara Zelda Zita Zoe Priyanka Leyla Dilys Bronwen Maren Solveig
Bettina Signe Mara Lotte Ewa Zainab Dalia Morag Halima Rukaya Mila Berta Achieng Wanjiru Lurdes Aino Pernille
Judit Frieda Effie Kaisa Hanne Joanne Bethan Jo Sachiko Margit Cilla Irmgard Claire Arabel Hella Terna Ondina
Onni Luna Juno Yuki Outi Orlova Amal Chidi Ngozi Leocadia Soraya Noura Xenia Ottilie Gudrun Brigid Siobhan
Ayesha Parvati Lakshmi Mei Hana Akiko Keiko Tomasz Caleb Anil Colm Ebo Dev Karim Bashir Bert Karl Beto Kid
Amis Kwame Kunle Nives Pruitt Dorsey Sander Sami Basem Nabil Lou Caspian Bodo Chucho Skarv Tadeusz Emeka Femi
Jamal Yusef Tomas Declan Seamus Padraig Ruairi Hiroshi Takeshi Sunil Rohan Anand Imran Faisal Mustafa Ilya
Goran Zoran Janos Istvan Ferenc
""")

MALE = _words("""
Aaron Abel Adam Adrian Ahmed Alan Albert Alec Alexander Alfred Ali Alistair Ambrose Amos Anders Andrew Angus
Anton Archie Arjun Arne Arnold Arthur Asher August Axel Barnaby Barney Basil Ben Benedict Benjamin Bernard
Bertram Bjorn Boris Brendan Brian Bruno Callum Calvin Carl Caspar Cedric Charles Chester Christian
Christopher Clarence Clement Clifford Clive Colin Conrad Cornelius Cyril Damian Daniel Darius David Dennis
Derek Desmond Dexter Diego Dimitri Dominic Donald Duncan Dylan Eamon Edgar Edmund Edward Edwin Einar Elias
Elliot Emil Emmanuel Enzo Eric Ernest Erwin Ethan Eugene Evan Ezra Fabian Felix Ferdinand Fergus Finn
Fletcher Floyd Francis Frank Franz Fred Frederick Gabriel Gareth Gavin Geoffrey George Gerald Gideon Gilbert
Giles Gordon Graham Gregory Griffin Gunnar Gustav Guy Hakim Hamish Hans Harold Harry Harvey Hasan Hector
Henrik Henry Herbert Herman Horace Howard Hubert Hugh Hugo Ian Ibrahim Ignatius Igor Isaac Ismail Ivan Ivor
Jack Jacob Jakob James Jamie Jan Janek Jasper Javier Jens Jeremy Jerome Jesse Jim Joachim Joel Johan John
Jonas Jonathan Jorge Joseph Joshua Julian Julius Justin Kamal Kaspar Keith Kenji Kenneth Kevin Kofi Konrad
Kurt Kyle Lars Laurence Laszlo Leander Leo Leon Leonard Leopold Leroy Leslie Levi Lewis Liam Lionel Lloyd
Lorenz Louis Luca Lucas Ludwig Luis Luke Luther Magnus Malcolm Manuel Marcel Marcus Mario Mark Martin Mateo
Matthew Maurice Max Maxim Maxwell Melvin Michael Miguel Mikhail Miles Milo Mohammed Morris Moses Murray
Nathan Neil Nelson Niall Nicholas Nico Nigel Nils Noah Noel Norman Olaf Oliver Omar Orson Oscar Osman Oswald
Otis Otto Owen Pablo Patrick Paul Pavel Pedro Percy Peter Philip Pierre Quentin Rafael Ralph Ramon Randolph
Raoul Rashid Ravi Raymond Reginald Reuben Rex Richard Robert Robin Roderick Rodney Rodrigo Roger Roland Rolf
Roman Ronan Rory Ross Rudolf Rufus Rupert Russell Salim Sam Samir Samuel Sandro Saul Scott Sean Sebastian
Sergei Seth Seymour Shane Sidney Silas Simon Solomon Stanley Stefan Stephen Steven Stuart Sven Tariq Ted
Terence Theo Theodore Thomas Tim Timothy Tobias Todd Tom Tomas Tony Toby Trevor Tristan Umar Uri Valentin
Vaughan Victor Vikram Vincent Viktor Vladimir Wallace Walter Warren Wesley Wilbur Wilfred Will William
Winston Wolfgang Xavier Yann Yusuf Zachary Zain Zoltan Anselm Teodor Idris Bram Joss Piet Rune Ivo
""")

SURNAMES = _words("""
Abbott Adler Alden Archer Ashby Atwood Baker Barlow Becker Bell Bennett Berg Blake Bolton Booth Bowen Brandt
Briggs Brook Burton Calder Carver Chandler Clarke Cole Cooper Crane Cross Dale Dalton Darby Dawson Draper
Drake Dunn Ellis Fairley Farrow Fisher Flint Foster Fowler Frost Fuller Gable Garner Gibbs Goodwin Grant Gray
Hale Harper Hart Hayes Hewitt Holt Hooper Hunt Jarvis Kane Keller Kerr Knox Lambert Lane Larsen Lowe Marsh
Mason Mercer Miller Moreau Nash Novak Okafor Olsen Osborne Page Palmer Parry Pike Porter Quinn Rahman Reed
Rhodes Rossi Rowe Sawyer Sharp Shaw Silva Slater Stone Swift Tanner Thorne Tucker Turner Vance Vogel Wade
Walker Ward Weaver Webb Wells West Whitaker Wolfe Wren Yates Young Voss Weber Lindt Tardi Cavallo Cappello
Dobson Harker Lund Solberg Novotny Horvat Petrov Costa Mendes Haddad Nasser Osei Mensah Tanaka Sato Ivers
Kaplan Lindgren Nyström Fischer Braun
""")

TOWNS = _words("""
Aberdeen Algiers Amsterdam Ankara Antwerp Athens Barcelona Basel Bath Beirut Belfast Bergen Berlin Bern
Bilbao Bologna Boston Bremen Bristol Brno Brussels Bucharest Budapest Cadiz Cairo Calais Cambridge Cardiff
Chester Chicago Cologne Cork Cracow Dakar Delhi Denver Dover Dresden Dublin Dundee Durham Edinburgh Exeter
Florence Galway Geneva Genoa Ghent Glasgow Granada Graz Hamburg Hanover Havana Helsinki Inverness Istanbul
Kyoto Lagos Leeds Leipzig Lima Limerick Lisbon Liverpool London Lyon Madrid Malmo Manchester Marseille Milan
Montreal Munich Nairobi Nantes Naples Norwich Oslo Ottawa Oxford Palermo Paris Perth Plymouth Porto Prague
Quito Riga Rome Rotterdam Salzburg Seattle Seville Sofia Stockholm Sydney Tallinn Tokyo Toledo Toronto
Trieste Tromso Tunis Turin Utrecht Valencia Venice Vienna Vilnius Warsaw York Zagreb Zurich Accra Kumasi
Osaka Calgary Visby Gotland Leicester Haifa Jaffa Amman Jerash Linz Lublin Luton Lodwar Kitui Oban Halle
Liege Whitby Montana Ohio Pune Aqaba Dessau Embu Slite Loughborough Irbid Gdansk Krakow Lusaka Harare Kampala
Mombasa Cusco Quebec Bergamo
""")
TOWN_HEADS = _words("""
Ash Bar Birch Black Bram Bright Carn Chal Cold Copper Crow Dun East Eld Elm Fal Fern Fox Glen Gold Green Grey
Hart Haver Hazel Heron High Hol Iron Kel Lang Lin Long Low Mar Mel Mill Moor Nor Oak Old Otter Pen Pine
Quarry Raven Red Rook Rush Sal Sand Silver Stan Sutter Swan Thorn Tor Under Wal West White Wil Win Wolf Wood
""")
TOWN_TAILS = _words("""
beck borough bridge brook burn bury by cliff combe cot dale dean den field ford gate ham haven hill holm
hurst ley low marsh mere mouth port pool sea stead stoke ton thorpe vale wick worth
""")
STREET_TAILS = _words("Street Lane Road Square Hill Row Close Avenue Gardens Court Terrace Yard Bridge Walk")

SYLLABLES = _words("""
ba be bi bo bra bri ca ce chi co cra da de di do dra dro el en fa fe fi fo ga ge gi go gra gri ha he hi ho il
in jo ju ka ke ki ko kra la le li lo lu ma me mi mo mu na ne ni no nu o or pa pe pi po pra qui ra re ri ro ru
sa se shi so sta ta te thi to tra tri u ul va ve vi vo wa we wi xa ya yo za ze zi zo
""")

PET_NAMES = _words("""
Biscuit Pepper Button Clover Ginger Marble Pickle Rusty Shadow Smoky Patch Nutmeg Pebble Toffee Mustard
Domino Cinder Bramble Captain Sergeant Duchess Prince Whisper Thunder Comet Saturn Jupiter Pudding Treacle
Muffin Crumpet Waffle Olive Sesame Juniper Thistle Acorn Bandit Socks Mittens Tiger Bear Wolf Fox Badger
Otter Sparrow Magpie Raven Rocket Ziggy Bingo Fudge Honey Maple Poppy Daisy Tulip Basil Fennel Paprika
Saffron Mango Peanut Dumpling Noodle Turnip Radish Parsley Velvet Banjo Fiddle Trumpet Echo Bluebell Moss
Storm Misty Snowy Sooty Lucky Scout Ranger Pirate Pilot Duke Monty Chester Rolo
""")
ANIMALS = _words("""
dog cat horse pony donkey goat sheep lamb cow calf hen cockerel goose duck parrot canary budgie pigeon raven
owl rabbit hamster mouse tortoise lizard snake goldfish pig ferret hedgehog fox badger otter kitten puppy
terrier spaniel greyhound hound collie poodle mule crow
""")
WILD = _words("""
seal heron gull sparrow robin swallow swan eagle hawk deer stag hare squirrel bat bee wasp butterfly moth
spider beetle ant crab lobster whale dolphin shark salmon trout herring eel frog toad snail wolf bear moose
beetle cricket wren blackbird magpie starling cuckoo rat mole falcon jellyfish octopus elephant lion tiger
monkey camel
""")

TRADES = _words("""
baker butcher carpenter plumber electrician gardener farmer fisherman sailor pilot driver mechanic welder
blacksmith builder mason roofer painter potter weaver tailor dressmaker shoemaker jeweller watchmaker printer
bookbinder librarian teacher lecturer professor student nurse doctor surgeon dentist vet chemist midwife
carer cook chef waiter barman brewer grocer florist hairdresser barber cleaner porter postman clerk secretary
accountant banker lawyer judge policeman detective soldier guard firefighter engineer architect surveyor
programmer scientist astronomer biologist historian journalist editor writer poet novelist actor singer
dancer musician pianist violinist conductor photographer sculptor translator interpreter priest monk shepherd
beekeeper forester miller miner diver lifeguard captain ferryman lighthouse-keeper locksmith glazier
upholsterer undertaker salesman shopkeeper manager assistant designer therapist counsellor social_worker
paramedic pharmacist optician physiotherapist caretaker zookeeper
""")

# people that somebody can have: female, male, either
RELATIONS_F = _words("""
sister elder_sister younger_sister mother grandmother aunt daughter elder_daughter younger_daughter niece
wife mother-in-law sister-in-law granddaughter godmother girlfriend stepmother mum gran half-sister
twin_sister landlady great-aunt stepsister nan
""")
RELATIONS_M = _words("""
brother elder_brother younger_brother father grandfather uncle son elder_son younger_son nephew husband
father-in-law brother-in-law grandson godfather boyfriend stepfather dad grandad half-brother twin_brother
landlord great-uncle stepbrother
""")
RELATIONS_N = _words("""
cousin neighbour teacher doctor boss friend best_friend old_friend colleague partner tutor dentist manager
assistant lodger tenant flatmate supervisor coach nurse lawyer trainer pen_friend child baby therapist
patient apprentice classmate
""")

FOODS = _words("""
bread toast butter cheese soup stew porridge rice pasta noodles dumplings pancakes waffles omelette eggs
bacon ham sausages chicken beef lamb pork salmon trout herring prawns oysters beans lentils chickpeas peas
carrots potatoes onions leeks cabbage spinach lettuce tomatoes cucumbers peppers pumpkin mushrooms garlic
beetroot radishes turnips corn olives apples pears plums cherries peaches grapes lemons oranges limes bananas
strawberries raspberries blackberries figs dates almonds walnuts peanuts honey jam marmalade chocolate cake
gingerbread biscuits scones muffins doughnuts pie trifle pudding custard ice-cream yoghurt cream popcorn
crackers curry chilli pizza sandwiches salad hummus falafel sushi tofu pickles mustard ginger cinnamon
vanilla nutmeg pepper salt sugar flour oats liquorice toffee fudge caramel leek steak vinegar dough leftovers
oregano marjoram caraway rye wheat starch sauces palm
""")
DRINKS = _words("""
tea coffee cocoa milk water lemonade cider beer wine juice ale whisky brandy port rum soda
""")
DISHES = _words("""
soup stew pie cake bread curry sauce salad pudding jam chutney omelette broth casserole tart loaf risotto
lasagne crumble stuffing dumpling pancake sandwich
""")

# concrete things that one can own, lose, find, carry or describe
NOUNS = _words("""
key lock lantern lamp candle torch match box chest trunk suitcase bag basket bucket barrel bottle jar jug cup
mug glass bowl plate dish spoon fork knife ladle kettle pot pan oven stove toaster tray teapot saucer napkin
tablecloth apron towel sponge brush broom mop duster iron basin tap sink bath soap comb mirror razor
toothbrush pillow blanket quilt sheet mattress bed cradle cot wardrobe drawer cupboard shelf bookcase desk
table chair stool bench sofa armchair cushion carpet rug curtain blind window door gate fence wall roof
chimney ladder stair step bell clock watch calendar diary notebook book novel atlas dictionary map letter
envelope stamp postcard parcel newspaper magazine poster ticket receipt bill cheque coin purse wallet
passport licence certificate photograph portrait painting drawing sketch frame vase statue mask doll puppet
teddy kite ball bat racket dice marble domino chessboard puzzle toy top drum whistle flute fiddle violin
cello guitar piano trumpet harp banjo accordion harmonica organ radio camera telescope microscope compass
telephone phone laptop computer screen keyboard printer charger cable battery plug switch bulb fan heater
hammer saw drill chisel plane file pliers spanner screwdriver wrench axe spade shovel rake hoe fork trowel
wheelbarrow hose shears scythe sickle rope string thread needle pin button zip ribbon scarf hat cap bonnet
coat jacket jumper cardigan waistcoat shirt blouse dress skirt trousers belt sock stocking shoe boot slipper
sandal glove mitten tie collar cuff pocket umbrella cane stick ring necklace bracelet brooch earring locket
pendant crown medal badge feather shell pebble stone brick tile plank beam nail screw bolt hinge handle wheel
axle cart wagon carriage sledge bicycle scooter motorbike car van lorry bus tram train tractor boat ship raft
canoe ferry yacht anchor sail mast oar net hook rod buoy tent sack rucksack flask whistle flag banner sign
notice label tag card pen pencil crayon chalk ink paintbrush easel canvas ruler scissors glue tape stapler
folder file clip pad parchment scroll quill seal wax bandage plaster pill tablet syrup thermometer
stethoscope crutch wheelchair stretcher spectacles lens cage kennel hutch nest perch saddle bridle whip
collar leash trough hive egg acorn leaf petal seed bulb root branch twig log stump hedge bush vine pine oak
willow birch beech elm maple rose tulip daisy lily poppy violet thistle fern ivy moss herb nettle mushroom
pumpkin turnip lemon orange apple pear plum cherry peach bun loaf cake biscuit pie tart pudding sweet
lollipop sandwich pancake sausage fish crab bone horn antler tusk skull fossil crystal diamond emerald pearl
ruby sapphire amber thimble bobbin spindle loom anvil bellows furnace kiln wheel millstone pump well fountain
statue bridge tower steeple arch pillar cellar attic barn shed stable cottage cabin hut tent greenhouse porch
balcony hammock swing slide seesaw sandpit pond stream puddle bench lamppost signpost milestone kerb drain
pipe gutter bin skip crate pallet trolley lift escalator turnstile counter till scale weight measure funnel
sieve grater whisk rolling-pin corkscrew tin can lid cork straw cloth rag mat hanger peg washing-line laundry
ironing-board sewing-machine typewriter gramophone record cassette film projector slide album scrapbook
journal recipe list timetable programme leaflet brochure catalogue invitation menu contract will deed helmet
shield sword dagger bow arrow spear cannon drumstick tambourine cymbal gong xylophone recorder clarinet
trombone saxophone bagpipe metronome walking-stick handbag briefcase backpack hairbrush hairpin lipstick
perfume snow-globe music-box rocking-horse jigsaw yo-yo spinning-top model lighthouse windmill weathervane
sundial hourglass barometer globe abacus magnet spring pulley lever gear engine motor propeller rudder paddle
oilcan funnel shift set note floor fire sea class report pair question fake sum message side flower truck
light photo bond edge trick gun pawn form sun stretch title taxi choir client text speech leek width job gap
draft place road bird alarm paper part hull sense mail block scene county tail seam drummer freezer firm meal
tree cape shutter fridge insurance claim penny verse chart moon flame enjoyment signature lease fund spot
joint site circle program deal heifer helper cell guarantor amount seat bean strike lump tip snare tar hole
larch union container pitch goal swarm tide chrysanthemum curse bishop kidney cog rib plot dough sleeve
boathouse powder runner reason sitter bet wheelhouse star quay wheat stuff aisle suit icing sponsor track
palm slat song head lap publisher crew trapper helpline rig slot debt stock wiring splash office chorus chord
metal maker dab cheat fella shelter dishcloth brake euro scaffold glaze newborn concrete strip brim nozzle
stammer fist pile path mortar wing harbour tank flat pell army signal game charge score mite ambulance
couplet knot corner email sole stain vinegar boiler curlew roommate tanker cruise bouquet loop buckle fun
topic summary pole defence paste hint master sin lesson rail relief rank mixer smash pane password seagull
cloud binder flaw dealer bunch exam hunter prey halves zero feeder timer dot career budget figure account
grain knuckle curve lender portion signer milker sawdust voyage cattle sky ranch herd batch composer margin
tempo ewe flashlight fact witness ghost shaving timber soloist sheriff price sawhorse critic drug museum
grant spell fault conscience riddle hem sauce beauty flood vote blade tilt steak leftover dinner treat buyer
grind speed seller radiator rim receiver wire creature pinhole surface layer snore sneaker cruelty fighter
mock flock rival mouth shape session sample crocus humidifier toilet niece market highway paperback series
painkiller treatment bully inmate hound rhyme poem tuner station onion grip tube material trace robber
verdict keel decade mess charity draught handful hayfield advert queen strap verb hostage term senior breath
victory thumb hostel mile camellia scent bloom nerve spy sticker router socket filter spreadsheet website app
backup server script essay grade homework lecture thesis visa permit bank rent landlord deposit
""")
CLOTHES = _words("""
coat jacket jumper cardigan shirt blouse dress skirt scarf hat cap shoes boots gloves socks trousers apron
raincoat dressing-gown pyjamas uniform suit tie waistcoat shawl cloak slippers sandals
""")
COLOURS = _words("""
red blue green yellow white black brown grey purple orange pink silver golden scarlet crimson violet
turquoise cream amber emerald olive navy lilac copper ivory rust bronze pale_blue dark_green bright_red
""")
MATERIALS = _words("""
wooden iron brass copper silver golden glass leather woollen cotton linen silk velvet paper stone clay tin
steel plastic rubber marble ivory wicker straw felt bronze
""")
INSTRUMENTS = _words("""
piano violin cello flute clarinet guitar trumpet harp drum fiddle organ banjo accordion oboe trombone
saxophone harmonica recorder viola ukulele
""")
LANGUAGES = _words("""
English French German Spanish Italian Portuguese Dutch Danish Swedish Norwegian Finnish Polish Czech Russian
Greek Turkish Arabic Hebrew Persian Hindi Urdu Chinese Japanese Korean Welsh Irish Latin Swahili Hungarian
""")
SUBJECTS = _words("""
history geography chemistry physics biology mathematics algebra geometry music art drawing poetry literature
grammar economics law medicine philosophy astronomy engineering statistics spelling arithmetic programming
nursing theology
""")
SPORTS = _words("""
football tennis cricket rugby chess swimming rowing running cycling climbing skating skiing fencing boxing
sailing archery hockey golf cards badminton dancing singing knitting sewing painting pottery woodwork baking
gardening fishing photography reading hiking yoga judo bowls darts crosswords
""")
ILLNESSES = _words("""
cold cough fever flu headache toothache migraine asthma measles diabetes arthritis insomnia anaemia pneumonia
bronchitis allergy infection rash burn sprain fracture cramp earache cancer stroke anxiety depression
exhaustion
""")
BODY = _words("""
head neck shoulder arm elbow wrist hand finger thumb chest back hip leg knee ankle foot heel toe eye ear nose
mouth tooth jaw cheek chin lip tongue throat stomach heart lung rib skin hair forehead spine
""")
FLOWERS = _words("""
roses tulips daisies lilies poppies violets daffodils sunflowers lavender geraniums marigolds snowdrops
bluebells irises peonies orchids heather foxgloves primroses hyacinths sweet_peas dahlias pansies
""")
TREES = _words("""
oak ash beech birch elm willow maple pine fir cedar chestnut lime hazel holly yew alder poplar apple pear
plum cherry
""")
ROOMS = _words("""
kitchen hall bedroom bathroom attic cellar study parlour dining-room living-room nursery pantry laundry
workshop garage greenhouse porch conservatory studio office spare_room guest_room library classroom ward
waiting-room
""")
SPOTS = _words("""
harbour market library station school church hospital park bakery museum theatre cinema post_office bank
bridge square beach lighthouse mill farm orchard forest castle cemetery swimming_pool zoo pub inn café
restaurant hotel airport bus_stop playground surgery chemist's court town_hall factory quarry shipyard
allotment riverbank dock field meadow office clinic nursery university college supermarket garage workshop
laundrette barn cathedral ferry
""")
FURNITURE = _words("""
table desk bed sofa chair stool bench shelf bookcase wardrobe cupboard dresser chest sideboard piano stove
oven sink mantelpiece fireplace window-sill armchair stairs clock mirror rug mat crate ladder bath basket
wheelbarrow workbench
""")
CONTAINERS = _words("""
box tin jar drawer basket bag chest trunk bucket bowl teapot vase sack barrel cupboard suitcase envelope
pocket purse bottle jug crate case pot cup boot hat glove
""")
EVENTS = _words("""
wedding funeral birthday party interview exam test concert match race meeting lesson appointment operation
check-up holiday dinner picnic play fair auction sale move trial inspection launch christening reunion
anniversary journey rehearsal performance parade festival conference delivery deadline visit court_hearing
driving_test blood_test scan vote presentation audition retirement graduation haircut viewing fitting
""")
OCCASIONS = _words("Christmas Easter Eid Diwali Passover Halloween New_Year")

WEEKDAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _words("January February March April May June July August September October November December")
SEASONS = _words("spring summer autumn winter")
ORDINALS = _words("""
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third
twenty-fourth twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth
""")
SMALL_NUMBERS = _words("two three four five six seven eight nine ten eleven twelve")
TEENS = _words("thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
HOURS = _words("one two three four five six seven eight nine ten eleven twelve")

FEELINGS = _words("""
happy sad angry afraid glad sorry tired lonely proud ashamed nervous anxious calm cheerful bored confused
content curious desperate disappointed eager embarrassed excited exhausted frightened furious grateful guilty
hopeful hopeless hurt jealous joyful miserable moved numb overwhelmed peaceful pleased puzzled relieved
restless sad safe scared shocked shy sick sleepy sore stubborn surprised suspicious tense terrified thankful
thirsty troubled uneasy unhappy unsure upset weary worried homesick heartbroken delighted amused annoyed
awkward bitter brave busy cold cross dizzy hungry impatient lost lucky mad warm ready alone certain sure fine
well better worse strong weak useless empty alive awake aware stuck torn foolish
""")
ADJ_PERSON = _words("""
kind gentle quiet loud clever wise foolish honest brave patient careful careless generous mean polite rude
stubborn strict funny serious lazy busy friendly shy tall short thin fat old young strong weak pale handsome
pretty beautiful ugly rich poor famous strange odd ordinary clumsy neat untidy loyal faithful modest vain
greedy selfish thoughtful forgetful talkative sensible practical humble cruel fierce calm cheerful grumpy
warm cold sharp blind deaf bald blond dark bearded wrinkled elderly retired unknown local foreign reliable
responsible difficult charming elegant decent fair tender steady bright
""")
ADJ_THING = _words("""
old new big small little large tiny huge long short wide narrow thick thin heavy light round square flat
sharp blunt soft hard smooth rough clean dirty dusty muddy wet dry damp warm cold hot cool broken cracked
torn worn faded bright dull plain simple fancy cheap expensive precious lost hidden empty full open closed
locked strange beautiful ugly lovely perfect useful useless rusty shiny polished painted carved folded
crooked bent straight loose tight deep shallow high low strong weak rare common secret special favourite
familiar ancient modern spare second-hand home-made borrowed stolen forgotten missing burnt fresh stale ripe
rotten sweet sour bitter salty spicy raw noisy silent quiet striped spotted checked patterned tattered
battered delicate solid hollow real false private public whole half single double extra final early late slow
quick sudden foreign local odd even exact rough proper wrong right enormous
""")
ADJ_ABSTRACT = _words("""
good bad great small real true false strange simple difficult hard easy important serious private honest
possible impossible necessary useful dangerous safe clear obvious long short new old sudden quiet terrible
wonderful awful fair unfair ordinary special particular certain main only final last next first different
similar usual unusual complete full partial gentle harsh heavy light deep painful pleasant welcome common
rare sensible silly reasonable careful practical legal moral personal physical mental emotional social
financial medical technical date worth sum bond trick stretch title speech gap sense tiredness kindness
amount claim curse goal plot reason panic debt stock relief rank flaw career budget appeal conscience beauty
terror riddle shame privacy fortune sickness treatment charity victory nerve mess harm evidence surprise
fairness fraud forgery harassment stalking blackmail arson abuse theft bullying intimacy closeness continuity
refusal beloved welfare greed hate mercy fever
""")
ABSTRACT = _words("""
idea plan secret promise question answer problem reason mistake truth lie story memory dream hope fear wish
chance choice decision job task duty habit rule law right debt gift favour apology excuse complaint argument
quarrel agreement bargain joke rumour warning message reply request order offer thought feeling doubt worry
pain loss grief joy pleasure comfort peace trust love hatred anger pride shame guilt courage patience
kindness honesty friendship marriage divorce birth death illness recovery accident danger risk trouble help
advice support attention silence noise sound voice word name sentence line page chapter beginning middle end
change difference difficulty effort success failure progress purpose result cause effect example detail fact
proof sign clue mystery surprise adventure journey future past present moment life world way matter point
case part piece side place space time season weather shape size weight length height distance price cost
value wage rent pension tax loan interest fine prize reward punishment freedom power strength weakness skill
talent practice lesson education experience knowledge wisdom opinion belief faith doubt luck fate chance
business company project system method process programme campaign committee council government election war
battle enemy crime theft murder poison weapon bomb violence threat revenge punishment sentence prison escape
loneliness happiness sadness sleep rest breath hunger thirst health strength balance routine habit deadline
conversation visit meeting goodbye welcome greeting company presence absence memory attention habit distance
possibility opportunity responsibility relationship situation condition position direction connection
information instruction explanation description suggestion solution expectation intention imagination
""")
MASS = _words("""
water milk bread sugar salt flour butter money gold silver wood paper wool cloth glass steel iron coal oil
petrol gas electricity smoke dust mud sand snow ice rain fog wind sunshine thunder lightning grass hay straw
soil food fruit meat furniture luggage equipment clothing medicine ointment paint glue soap bleach ink music
homework housework work traffic news weather luck time air light darkness shade rubbish
""")
NOUNS_PEOPLE = _words("""
man woman boy girl child baby stranger neighbour friend guest visitor customer passenger tourist traveller
pupil student teacher nurse doctor patient driver policeman farmer sailor soldier thief beggar widow orphan
twin captain king queen prince princess knight witch wizard giant ghost dwarf fool hero villain crowd team
family couple gentleman lady chap fellow person human parent teenager adult relative owner leader member
expert beginner winner loser
""")
TOWN_THINGS = _words("""
street road lane path bridge river canal hill valley mountain cliff coast shore bay island cave lake pond
stream waterfall wood forest field meadow garden park square market village town city house cottage farm
castle palace church tower school shop kitchen hall room corner doorway roof staircase corridor platform
harbour pier dock beach
""")

ADVERBS = _words("""
slowly quickly quietly loudly softly gently carefully carelessly happily sadly angrily calmly suddenly
finally eagerly nervously proudly politely rudely kindly warmly coldly bravely firmly honestly seriously
simply patiently impatiently thoughtfully briefly clearly closely deeply directly easily evenly exactly
fairly faintly frankly freely gladly gratefully hastily heavily helplessly hopefully idly immediately
instantly kindly lightly mildly neatly openly painfully perfectly plainly properly rapidly readily roughly
sharply shyly silently sleepily smoothly solemnly steadily stiffly stubbornly swiftly tenderly tightly truly
urgently wearily wildly wisely
""")
FREQUENCY = _words("always often usually sometimes rarely never seldom occasionally hardly_ever nearly_always")
DEGREE = _words("""
very rather quite too so really a_little a_bit almost completely terribly perfectly extremely slightly fairly
""")
TIME_PAST = _words("""
yesterday last_night last_week last_year last_month an_hour_ago long_ago this_morning the_other_day
two_days_ago years_ago in_the_spring at_the_weekend the_day_before_yesterday earlier before_breakfast
after_school on_Sunday in_the_night before_the_war a_week_ago recently once
""")
TIME_FUTURE = _words("""
tomorrow tonight next_week soon next_month next_year later in_an_hour after_lunch before_dark this_evening
at_noon in_the_morning in_a_minute one_day some_day before_winter after_supper at_the_weekend by_then
this_afternoon
""")

# transitive verbs (base form) that go with a thing
VERBS_T = _words("""
take bring carry lift drop find lose hide keep sell buy steal borrow lend give mend break burn clean wash dry
paint polish open close lock unlock fill empty pull push throw catch hold touch shake turn move count weigh
measure draw describe photograph wrap unwrap fold tear cut sharpen bend hang bury dig fetch need want like
love hate miss prefer choose use try check repair build make design invent destroy damage save protect
remember forget notice see watch hear smell feel examine study inspect recognise follow pass reach leave
return send receive post collect gather pack unpack load unload store share divide swap exchange offer accept
refuse order deliver cover uncover tie untie fasten loosen knock kick drag roll slide squeeze press stir mix
pour spill drink eat taste cook bake boil fry roast chop slice peel serve feed water plant pick weed trim mow
prune sweep scrub rinse iron sew knit stitch patch dye decorate arrange tidy sort stack label mark sign stamp
print copy read write type record play tune practise teach learn explain show point admire praise blame thank
greet invite visit meet welcome join help rescue free release trap chase hunt warn advise comfort calm
frighten scare surprise annoy bother disturb interrupt hurt wound poison heal cure nurse kiss hug stroke pat
tickle slap punch attack defend fight beat win trust believe doubt suspect accuse forgive punish reward pay
owe cost earn spend waste gamble invest calculate estimate guess solve finish start begin stop delay cancel
postpone plan organise manage control lead guide direct drive ride steer row sail fly land park shut set
floor light draft fix scold deserve kill offset limp slam allow enjoy recall settle wipe rub cheat soak curl
drown crew smash pinch restful bind shrug admit delete attach mention risk raise fine multiply stretch
compare tilt suggest christen value shock picture grind book wreck repeat handle honour honor marry mock rob
scrape scorch ban test spray treat cool drug insist tempt undo crack log time fool operate maintain shorten
beg tread spy download install rename charge unplug adjust rewrite quote cite revise heat chill drain freeze
grate simmer season
""")
# intransitive verbs
VERBS_I = _words("""
laugh cry smile frown sigh cough sneeze yawn nod blush shiver tremble sleep wake rest sit stand lie kneel
jump run walk march hurry rush wander stroll climb fall slip trip dance sing whistle hum shout whisper speak
talk chat argue agree disagree complain grumble wait stay arrive leave depart travel go come return disappear
appear vanish grow shrink age change improve recover suffer die live breathe hesitate pause listen stare
blink look search work play swim dive float sink sail drift crawl creep hide escape pray dream think worry
wonder hope hurry relax struggle fail succeed try bleed faint ache itch sweat burn melt freeze boil shine
glow flicker fade crack collapse explode leak drip matter happen exist begin end stop continue last remain
pretend apologise promise bark bloom blow cheat drown fit giggle grin hiss honour howl hush limp lurk mourn
obey panic race ramble recall ring rise sob snore sober spread squeal stammer starve sting survive swell tick
tiptoe trade vote wobble behave bet bloat cruise depend graze hunt knit lean mend milk nap pitch reach rely
roam shift strike tug weaken weep
""")
VERBS_MIND = _words("""
know think believe hope fear guess suppose imagine remember forget understand wish see feel hear doubt say
swear promise admit
""")
SAY = _words("""
said asked answered replied whispered murmured muttered shouted called cried added explained admitted agreed
repeated laughed sighed insisted
""")

# base form: (past tense, past participle)
IRREGULAR = {
    line.split()[0]: (line.split()[1], line.split()[2])
    for line in """
be was been | bear bore borne | beat beat beaten | become became become | begin began begun
bend bent bent | bite bit bitten | bleed bled bled | blow blew blown | break broke broken
bring brought brought | build built built | burn burnt burnt | buy bought bought | catch caught caught
choose chose chosen | come came come | cost cost cost | creep crept crept | cut cut cut | dig dug dug
do did done | draw drew drawn | dream dreamt dreamt | drink drank drunk | drive drove driven
eat ate eaten | fall fell fallen | feed fed fed | feel felt felt | fight fought fought | find found found
fly flew flown | forget forgot forgotten | forgive forgave forgiven | freeze froze frozen | get got got
give gave given | shut shut shut | go went gone | grow grew grown | hang hung hung | have had had | hear heard heard
hide hid hidden | hold held held | hurt hurt hurt | keep kept kept | kneel knelt knelt | know knew known
lead led led | learn learnt learnt | leave left left | lend lent lent | lie lay lain | lose lost lost
make made made | mean meant meant | meet met met | pay paid paid | put put put | read read read
ride rode ridden | ring rang rung | rise rose risen | run ran run | say said said | see saw seen
sell sold sold | send sent sent | sew sewed sewn | shake shook shaken | shine shone shone
shrink shrank shrunk | show showed shown | sing sang sung | sink sank sunk | sit sat sat
sleep slept slept | slide slid slid | smell smelt smelt | speak spoke spoken | spend spent spent
spill spilt spilt | stand stood stood | steal stole stolen | stick stuck stuck | swear swore sworn
sweep swept swept | swim swam swum | take took taken | teach taught taught | tear tore torn
tell told told | think thought thought | throw threw thrown | understand understood understood
wake woke woken | wear wore worn | win won won | write wrote written | weave wove woven
bury buried buried | let let let | bet bet bet | hit hit hit
""".replace("\n", "|")
    .strip("|")
    .split("|")
}
DOUBLING = frozenset(
    _words("""
drop hug pat trap slap stop plan chat nod hum slip trip grin sob scrub rob grab drum spit pot bud swap wrap
drag chop trim mop knit fit rub beg pin dip grab sob swim run sit begin win dig cut put get let hit bet
forget shut spin stir travel cancel label unwrap skip tip step ship pet control spot permit admit
""")
)

WEATHER = _words("""
rain snow wind storm fog mist frost hail thunder sunshine drizzle heat cold breeze gale thunderstorm flood
drought moonlight twilight darkness dawn sleet
""")
ADJ_WEATHER = _words("""
cold warm hot wet dry dark bright cloudy foggy sunny windy stormy rainy mild icy freezing grey damp quiet
""")
UNITS = _words("""
metre metres centimetres kilometres miles inches feet yards grams kilos pounds ounces litres gallons pints
spoons cups slices drops pieces minutes hours seconds days weeks months years pages steps bags boxes jars
bottles pairs loads rounds degrees
""")
PEOPLE_PLURAL = _words("""
people men women boys girls children babies kids parents sisters brothers twins friends neighbours strangers
guests visitors customers passengers travellers tourists pupils students teachers nurses doctors patients
workers farmers sailors soldiers thieves lads ladies husbands wives aunts uncles cousins daughters sons
families fathers mothers players singers dancers drivers writers readers builders keepers police others
""")
BODY_PLURAL = _words("""
hands fingers thumbs arms shoulders elbows wrists legs knees ankles feet heels toes eyes ears lips cheeks
teeth lungs ribs bones palms nails fists nerves muscles
""")
COMPARABLE = _words("""
old new big small large long short wide narrow thick thin heavy light flat sharp soft hard rough clean dirty
dry damp warm cold hot cool bright dull plain cheap high low strong weak rare sweet quick slow late early
deep tight loose loud quiet calm kind wise brave proud fair tall fat young rich poor safe sad happy angry
easy simple gentle near fast close pale dark smart tough fresh full clever funny lonely hungry busy pretty
ugly
""")
# words without a class of their own, used in lists that are read twice
MISC = _words("""
above below beneath beyond towards against among throughout within without upon along around across behind
beside besides aloud altogether anyway anyone anybody anyone's anywhere asleep ashore awake aside apart
abroad ahead afterwards also badly barely certainly daily dead dearly deeply depending don't else else's
elsewhere entirely except expect facing farther fond forward grand grown ha hers himself herself itself
myself yourself ourselves themselves however hundred thousand million zero ill indeed innocent instead
knowing learned least likely luckily mostly maybe meanwhile mutual needn't nearby nearly neither newborn
nobody's somebody's someone's nowhere per partly pure possibly probably putting saying seems shaky shan't
she'd he'd it'd that'd they'd we'd who'd he's who's that's there's where's here's what's how's he'll she'll
it'll they'll they've we've we're you've mustn't mightn't wasn't weren't hadn't somewhere sooner spite stern
strongly surely ten than though thus till toward treating unkind un unless untrue upright upside upstairs
downstairs us versus weekly whatever whenever whichever wherever whose yet yep nope okay oh ah hey hiya hush
bravo bye farewell welcome cheers congratulations merry dear sir madam mr mrs miss ms dr th nd st p e f m v b
a c d g h k l n o q r s t u w x y z AI PDF DIY TV first_aid o'clock tonight today tomorrow's today's one's
man's people's children's everyone's day's week's year's world's house's dog's cat's father's sister's
brother's friend's doctor's color colored honor honored neighbor neighbors favor harbor gray program labor
center theater traveler jewelry dreamed smelled spoiled truthful tireless ruined scratched scraped crushed
cramped spooked soaked curled hemmed glazed crossed handed timed fired tinned stretched treated tested
slammed shoved spoken laid lame lent lit lost bitten blank beloved cared costed crisp custom daft dim due
electric extra fake fine firm fishy flexible fluent grim hidden idle joint keen limp lower upper mad mass
mere middle native naked north south east west northern southern eastern western numb odd overnight own
particular pale plus minus plain quiet raw ready rural secondary shallow slack sober soapy solid solo spare
sticky stiff stray stupid tiny tiring upturned unpaid unseen urban vague valued various vast wild wronged
zigzag
""")
# everyday words that should be whole tokens: the tokenizer's training adds to their counts
COMMON = _words("""
the be is are was were am been being to of and a in that have has had it for not on with he as you do does
did at this but his by from they we say her she or an will my one all would there their what so up out if
about who get got which go went gone me when make made can like time no just him know knew take took people
into year your good some could them see saw other than then now look only come came its over think thought
also back after use two how our work first well way even new want because any these give gave most us day man
woman child children men women boy boys girl girls baby life world school state family student group country
problem hand hands part place case week company system question night nights point home water room rooms
mother father area money story fact month months lot right study book books eye eyes job word words business
issue side sides kind head house houses service friend friends power hour hours game line lines end member
law car city name names president team minute minutes idea kid kids body information nothing something
anything everything someone anyone everyone nobody somebody everybody parent parents face others level office
door doors health person art war history party result change morning evening evenings afternoon reason
research moment air teacher force education foot feet age policy music plan sense death experience effect
light lights voice voices letter letters answer answers question questions word thing things today tomorrow
yesterday tonight Monday Tuesday Wednesday Thursday Friday Saturday Sunday always never often sometimes
usually again already almost alone along another around away bad beautiful become before began begin behind
believe below best better between big black blue body both bottle bread break bring broke broken brother
brothers brought brown build building burn bus busy buy call called careful carry catch cause certain chair
choose clean clear clock close closed clothes cold colour cook cost count cup cut dark date daughter dead
dear deep die died different difficult dinner doing dog dogs cat cats dream drink drive drop dry each early
earth easy eat either else empty enough ever every except fall far fast fear feel feeling felt few field
fight fill final find fine finger fingers finish fire fish five fix floor flower flowers fly follow food
forget forgot found four free fresh front full fun funny garden gave gets giving glad glass goes going gold
great green grey ground grow had hair half happen happened happy hard hate hear heard heart heavy held hello
help here high hold hole hope horse hot hundred hungry hurt ice ill inside instead keep keeps kept key keys
kill kitchen knife knows lady lamp land large last late later laugh lay lead learn least leave left leg legs
less let lie listen little live lived living long longer looked looking looks lose lost loud love low lunch
makes making many map mark matter may maybe mean means meant meet mend message middle might milk mind mine
miss missing mistake more mouth move much must near nearly neck need needs next nice nine noise noon north
nose note notes number numbers old once ones open opened orange order outside own paid pain paint pair paper
past path pay pen perhaps phone photo pick picture piece pink plan plant plate play please pocket police poor
pot press pretty price promise proper proud pull push put quick quiet quite rain ran read reading ready real
really red remember rest rice rich ride ring river road roof round row run running safe said salt same sad
save saying says sea second secret seem seems seen sell send sent sentence set seven shake shall share sharp
sheet shelf ship shirt shoe shoes shop short should shoulder show shut sick sight silence silver simple since
sing sister sisters sit sitting six skin sky sleep sleeping slow slowly small smell smile snow soft sold son
song soon sorry sort sound sounds soup south space speak spend spring stand standing star start station stay
stayed staying steal step steps still stole stone stop stops store storm straight strange street strong such
sugar summer sun sure sweet table talk talked talking tall taste tea teach tell telling ten thank thanks thin
third those though thousand thread three through throw tired together told too took top touch town train tree
trees trick tried trip true trust truth try trying turn turned twice under understand until upon used using
very visit wait waiting walk walked walking wall warm wash watch weather wear weeks weight welcome wet
whatever wheel where whether while white whole whose why wide wife wild wind window winter wish within
without wonder wood wore worked working worry worth write writing written wrong wrote years yellow yes yet
young yours yourself myself himself herself itself themselves ourselves I I'm I'll I've I'd don't can't won't
isn't aren't doesn't didn't wasn't weren't couldn't wouldn't shouldn't haven't hasn't you're you've you'll
you'd it's it'll that's there's what's let's we're we've we'll they're they've he's she's who's o'clock add
advice afraid against ago ahead aloud among anger angry animal apple apart ask asked asking asleep aunt bag
bake ball bank bar basket bath beans bear beat bed bell belongs bench bend beside bike bill bird birthday bit
bite blame blanket blood boat boil bone born boss bottom bowl box brave breath breathe bridge bright brush
bucket butter button cake calm camera candle card care chance cheap cheese chest church clear clever climb
cloth coat coffee coin comes comfort cook copy corner cough cream cry crying cup cupboard curtain dance
danger decide desk doctor draw drawer dress drawing drew dust ear edge eggs eight eleven email engine
envelope exam exactly exam excuse fair faith fault favour fence fever file flat flour fold fork form forward
friday fridge frightened fruit future gate gentle gentle gift gladly glue grandmother grandfather grateful
grief guess guest gun habit hammer handle hang happens harbour hat honest honey hospital hotel idea ink
interview jacket jam jar joke journey joy jump kettle kindness knee knock label ladder lake language laughing
learned lemon lend lesson library lift lips list lock lonely lovely luck machine market married meal medicine
meeting memory mess metal mirror mistakes mum dad gran needle neighbour nerves net nobody nurse oil onion
onions oven pack page parcel park patient peace pencil pepper piano pillow pills plain pleased plenty poem
poison possible potatoes practice present pressure proof purple queen quietly rather record recipe relief
repair repeat report rope rub rule sail salt sand scared screen screw seed shadow shed shift shoulders sign
singing sink sleepy smaller smoke soap sock sofa soil somewhere spare spell spoon square stairs stamp stick
stir stitch stove string sudden suddenly support surprise swim switch tape tax thirty ticket tight till tin
tiny title tool tools tooth towel toy train tram trouble trousers truck twelve twenty uncle useful van vet
village violin wake watched water weak wedding weekend west wheel whisper whistle wine wise wooden wool
worried worse worst yard yesterday zero anybody anywhere badly beyond blank bored brain company computer
credit current debt describe detail direct doubt dream driver during effort email engine evening example
extra fail false family famous fancy feelings fifty finished forty forever forgive form friendship funeral
gather gone goodbye goodnight guilty handed harm holding holiday hoping human assistant hurry important job
join kiss knowing knowledge leaving lies local lucky mad manage manager match mention nervous night notice
offer opinion owner password perfect permission phone pity polite power practise private problem protect
proud quarrel refuse remind reply return rude sake search serious shame shout shy silly smart somehow
speaking stranger stubborn stuck stupid sweet swear tears tender test thief threat tonight trade useless
usual voice wages warn waste weapon weird whisper wonderful worker
""")
