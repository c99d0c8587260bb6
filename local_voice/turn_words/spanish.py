"""How people take, keep and give the floor in Spanish; `table.py` says what each set is."""

from local_voice.turn_words.table import TurnWords, phrases

SPANISH = TurnWords(
    hums=phrases("m, mm, mhm, hm, hmm, ah, oh, eh, ajá, aja, uy, ay, aha"),
    backchannels=phrases(
        "sí, si, ok, okay, vale, claro, claro que sí, ya, ya veo, entiendo, ya entiendo, bien, muy bien, "
        "de acuerdo, exacto, exactamente, cierto, perfecto, genial, correcto, vaya, en serio, qué bien, "
        "interesante, bueno, por supuesto, eso es, así es, gracias, ah sí, wow, guay, dale"
    ),
    answers=phrases(
        "sí, si, no, ok, okay, vale, claro, claro que sí, claro que no, por supuesto, de acuerdo, exacto, "
        "correcto, cierto, creo que sí, creo que no, quizás, quizá, tal vez, no sé, no lo sé, para nada, "
        "todavía no, ahora no, tampoco, nunca, nada, nada más, perfecto, bueno, mhm, ajá, desde luego, "
        "adelante, más tarde, eso es, así es"
    ),
    courtesy=phrases("por favor, gracias, muchas gracias, entonces"),
    stops=phrases(
        "para, pare, para ya, detente, alto, espera, espere, espera un momento, un momento, un segundo, "
        "cállate, cállese, silencio, basta, ya basta, suficiente, no no, olvídalo, déjalo, pausa, cancela, "
        "stop, shh, calla, ya está"
    ),
    openers=phrases(
        "eh, em, este, pues, bueno, y, pero, oye, hola, ok, vale, sí, no, ah, oh, o sea, mira, a ver, "
        "entonces, por favor, gracias, perfecto"
    ),
    never_last={
        "an article": phrases("el, la, los, las, un, una, unos, unas, del, al, lo"),
        "a possessive": phrases("mi, mis, tu, tus, su, sus, nuestro, nuestra, nuestros, nuestras"),
        "a conjunction": phrases(
            "y, e, o, u, pero, que, porque, aunque, sino, ni, cuando, como, mientras, pues"
        ),
        "a preposition": phrases(
            "a, de, con, en, por, sin, sobre, entre, hasta, desde, hacia, según, contra, durante, para"
        ),
        "a filler": phrases("eh, em, ehm, este, mm, hm, hmm, o sea, bueno pues"),
    },
    auxiliaries=phrases(
        "es, son, está, están, estoy, soy, era, ha, he, han, hay, tengo, quiero, quisiera, necesito, puedo, "
        "puede, me gustaría, voy, se llama"
    ),
    licences=phrases(
        "qué, quién, dónde, cómo, cuándo, cuál, cuánto, cuánta, cuántos, por qué, que, si, como, donde, "
        "cuando, lo que, todo"
    ),
    subordinators=phrases(
        "si, cuando, porque, antes de, después de, mientras, aunque, en cuanto, hasta que, desde que"
    ),
    joiners=phrases("y, e, o, u"),
    determiners=phrases("mi, mis, tu, tus, un, una, unos, unas, el, la, los, las, dos, tres, cuatro, cinco"),
    complete=phrases(
        "o no, y tú, no es así, ya voy, sí quiero, ahí está, aquí está, ya está, no hay, no puedo, "
        "no quiero, algo más, nada más, uno más, un poco más, por lo menos, al menos, y ya, así es, es más, "
        "no más, una más, dame más, no tengo, sí hay, sí puedo, cuéntame más, dime más"
    ),
    unfinished=phrases(
        "puedes, podrías, puede usted, me puedes, me podrías, dame, muéstrame, por ejemplo, es que, "
        "quiero decir, y luego, cómo se dice, a ver, déjame ver, déjame pensar"
    ),
    asks_yes_no=phrases(
        "es, está, están, eres, estás, hay, tienes, tiene, quieres, quiere, puedes, puede, puedo, podemos, "
        "debo, te gustaría, le gustaría, prefieres, necesitas, necesita, sabes, has, ha, quisieras, "
        "algo más, listo, lista, te parece, seguimos, continúo, deseas, desea"
    ),
    tags=phrases(
        "no, verdad, sí, vale, ok, cierto, correcto, de acuerdo, o no, te parece bien, está bien, no es así"
    ),
    requests=phrases(
        "puedes decirme, puede decirme, podrías decirme, podría decirme, me puedes dar, me puede dar, "
        "puedes darme, puede darme, me das, me da, dime, dígame, dame, deme, deletrea, deletree, "
        "puedes deletrear, puede deletrear, podrías deletrear, por favor dime, por favor dígame"
    ),
    alternatives=phrases("o"),
    asks_digits=phrases(
        "número, teléfono, código, código postal, fecha, cumpleaños, pin, cuenta, dígitos, cifras, naciste, "
        "nació, iban"
    ),
    asks_spelling=phrases(
        "deletrea, deletrear, deletree, deletreas, se escribe, dirección, correo, contraseña, calle, "
        "letra por letra, email"
    ),
    asks_list=phrases("ingredientes, artículos, nombres, cosas, lista, qué necesitas, qué necesita, compras"),
    invented=phrases("gracias, muchas gracias, adiós, hasta luego, hasta la próxima, y, chao, mm, ah, oh"),
    never_said=phrases(
        "subtítulos realizados por, subtítulos por, subtitulado por, subtítulos de amara, "
        "subtítulos creados por, gracias por ver, gracias por ver el video, gracias por ver el vídeo, "
        "suscríbete, no olvides suscribirte, nos vemos en el próximo video"
    ),
    drops_pronouns=True,
)
