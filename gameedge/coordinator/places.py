"""Cities by which players are counted: nobody is shown nearer than the nearest of these.

Names, countries (ISO 3166) and coordinates in whole and half degrees, so that a dot on a map says no more than the name does.
"""

from typing import Final, NamedTuple

import numpy as np


class Place(NamedTuple):
    name: str
    country: str
    latitude: float
    longitude: float


_TABLE: Final = """
New York,US,40.5,-74|Washington,US,39,-77|Atlanta,US,33.5,-84.5|Miami,US,26,-80|Chicago,US,42,-87.5|Dallas,US,33,-97
Houston,US,30,-95.5|Denver,US,39.5,-105|Phoenix,US,33.5,-112|Los Angeles,US,34,-118|San Francisco,US,37.5,-122.5|Seattle,US,47.5,-122.5
Minneapolis,US,45,-93.5|Boston,US,42.5,-71|Honolulu,US,21.5,-158|Anchorage,US,61,-150|Toronto,CA,43.5,-79.5|Montreal,CA,45.5,-73.5
Vancouver,CA,49.5,-123|Calgary,CA,51,-114|Mexico City,MX,19.5,-99|Monterrey,MX,25.5,-100.5|Guadalajara,MX,20.5,-103.5
Guatemala City,GT,14.5,-90.5|San Jose,CR,10,-84|Panama City,PA,9,-79.5|Havana,CU,23,-82.5|Santo Domingo,DO,18.5,-70
Bogota,CO,4.5,-74|Medellin,CO,6,-75.5|Caracas,VE,10.5,-67|Quito,EC,0,-78.5|Lima,PE,-12,-77|La Paz,BO,-16.5,-68|Santiago,CL,-33.5,-70.5
Buenos Aires,AR,-34.5,-58.5|Cordoba,AR,-31.5,-64|Montevideo,UY,-35,-56|Asuncion,PY,-25.5,-57.5|Sao Paulo,BR,-23.5,-46.5
Rio de Janeiro,BR,-23,-43|Brasilia,BR,-16,-48|Fortaleza,BR,-3.5,-38.5|Recife,BR,-8,-35|Manaus,BR,-3,-60|Porto Alegre,BR,-30,-51
London,GB,51.5,0|Manchester,GB,53.5,-2|Edinburgh,GB,56,-3|Dublin,IE,53.5,-6.5|Paris,FR,49,2.5|Marseille,FR,43.5,5.5|Lyon,FR,46,5
Madrid,ES,40.5,-3.5|Barcelona,ES,41.5,2|Lisbon,PT,38.5,-9|Brussels,BE,51,4.5|Amsterdam,NL,52.5,5|Frankfurt,DE,50,8.5|Berlin,DE,52.5,13.5
Munich,DE,48,11.5|Hamburg,DE,53.5,10|Zurich,CH,47.5,8.5|Milan,IT,45.5,9|Rome,IT,42,12.5|Vienna,AT,48,16.5|Prague,CZ,50,14.5
Warsaw,PL,52,21|Budapest,HU,47.5,19|Bucharest,RO,44.5,26|Sofia,BG,42.5,23.5|Athens,GR,38,23.5|Belgrade,RS,45,20.5|Zagreb,HR,46,16
Copenhagen,DK,55.5,12.5|Stockholm,SE,59.5,18|Oslo,NO,60,10.5|Helsinki,FI,60,25|Riga,LV,57,24|Vilnius,LT,54.5,25.5|Reykjavik,IS,64,-22
Kyiv,UA,50.5,30.5|Minsk,BY,54,27.5|Moscow,RU,56,37.5|Saint Petersburg,RU,60,30.5|Yekaterinburg,RU,57,60.5|Novosibirsk,RU,55,83
Vladivostok,RU,43,132|Istanbul,TR,41,29|Ankara,TR,40,33|Tbilisi,GE,41.5,45|Tel Aviv,IL,32,35|Amman,JO,32,36|Riyadh,SA,24.5,46.5
Jeddah,SA,21.5,39|Dubai,AE,25,55.5|Doha,QA,25.5,51.5|Kuwait City,KW,29.5,48|Baghdad,IQ,33.5,44.5|Tehran,IR,35.5,51.5|Cairo,EG,30,31
Casablanca,MA,33.5,-7.5|Algiers,DZ,36.5,3|Tunis,TN,37,10|Tripoli,LY,33,13|Dakar,SN,14.5,-17.5|Accra,GH,5.5,0|Lagos,NG,6.5,3.5|Abuja,NG,9,7.5
Abidjan,CI,5.5,-4|Kinshasa,CD,-4.5,15.5|Luanda,AO,-9,13|Nairobi,KE,-1.5,37|Addis Ababa,ET,9,38.5|Kampala,UG,0.5,32.5
Dar es Salaam,TZ,-7,39|Johannesburg,ZA,-26,28|Cape Town,ZA,-34,18.5|Durban,ZA,-30,31|Harare,ZW,-18,31|Antananarivo,MG,-19,47.5
Karachi,PK,25,67|Lahore,PK,31.5,74.5|Delhi,IN,28.5,77|Mumbai,IN,19,73|Bangalore,IN,13,77.5|Chennai,IN,13,80.5|Kolkata,IN,22.5,88.5
Hyderabad,IN,17.5,78.5|Dhaka,BD,24,90.5|Colombo,LK,7,80|Kathmandu,NP,27.5,85.5|Tashkent,UZ,41.5,69|Almaty,KZ,43,77|Kabul,AF,34.5,69
Yangon,MM,17,96|Bangkok,TH,13.5,100.5|Hanoi,VN,21,106|Ho Chi Minh City,VN,11,106.5|Phnom Penh,KH,11.5,105|Kuala Lumpur,MY,3,101.5
Singapore,SG,1.5,104|Jakarta,ID,-6,107|Surabaya,ID,-7.5,112.5|Manila,PH,14.5,121|Cebu,PH,10.5,124|Hong Kong,HK,22.5,114|Taipei,TW,25,121.5
Shenzhen,CN,22.5,114|Guangzhou,CN,23,113.5|Shanghai,CN,31,121.5|Beijing,CN,40,116.5|Chengdu,CN,30.5,104|Wuhan,CN,30.5,114.5
Xi'an,CN,34.5,109|Seoul,KR,37.5,127|Busan,KR,35,129|Tokyo,JP,35.5,139.5|Osaka,JP,34.5,135.5|Fukuoka,JP,33.5,130.5|Sapporo,JP,43,141.5
Ulaanbaatar,MN,48,107|Perth,AU,-32,116|Adelaide,AU,-35,138.5|Melbourne,AU,-38,145|Sydney,AU,-34,151|Brisbane,AU,-27.5,153
Auckland,NZ,-37,175|Wellington,NZ,-41.5,175|Port Moresby,PG,-9.5,147|Suva,FJ,-18,178.5
"""

PLACES: Final = tuple(
    Place(name, country, float(latitude), float(longitude))
    for name, country, latitude, longitude in (row.split(",") for row in _TABLE.strip().replace("\n", "|").split("|"))
)
_COUNTED: Final = np.radians(np.array([(place.latitude, place.longitude) for place in PLACES]))


def nearest(latitude: float, longitude: float) -> int:
    """The index of the nearest place, by the haversine of the distance."""
    here = np.radians((latitude, longitude))
    apart = np.sin((_COUNTED - here) / 2) ** 2
    return int(np.argmin(apart[:, 0] + np.cos(here[0]) * np.cos(_COUNTED[:, 0]) * apart[:, 1]))
